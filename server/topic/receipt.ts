import { FORBIDDEN_KEY } from '../../shared/forbidden-keys.ts'
import type { Position } from '../../shared/streams.ts'
import type { Kept } from '../broker/broker.ts'

/**
 * The content of a receipt, as the fields of a JSON object. Composed by hand, because this is the hot path: ids, names of streams
 * and epochs contain nothing that JSON escapes.
 */
export function receiptFields(id: string, kept: Kept | undefined): string {
  let json = `"id":"${id}"`
  if (!kept) return json
  const { duplicate, positions, queues } = kept
  let comma = ''
  json += ',"positions":{'
  for (const name in positions) {
    // An earlier version may have declared a stream with that name.
    if (name === FORBIDDEN_KEY) continue
    const { epoch, offset } = positions[name] as Position
    json += `${comma}"${name}":{"epoch":"${epoch}","offset":${offset}}`
    comma = ','
  }
  json += '}'
  if (queues.length > 0) json += `,"queues":["${queues.join('","')}"]`
  return duplicate ? `${json},"duplicate":true` : json
}
