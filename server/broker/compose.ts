import { Buffer } from 'node:buffer'
import { encodeRecord } from '../../shared/codec.ts'
import { FORBIDDEN_KEY } from '../../shared/forbidden-keys.ts'
import type { Offsets } from '../../shared/streams.ts'
import type { MessageParts, Placement } from './broker.ts'

/**
 * Composes the wire form of a message: text, or a binary record if the payload is bytes. The broker composes a message before it
 * stores it; the hub composes a message that nothing stores.
 */
export function compose(
  { id, topic, rest, payload }: Pick<MessageParts, 'id' | 'topic' | 'rest' | 'payload'>,
  placement: Placement | undefined,
): string | Uint8Array {
  const json = `${composeHead(id, topic, placement)}${rest}}`
  return payload === undefined ? json : encodeRecord(json, payload)
}

/** Size of the wire form in a queue, in bytes: the only measure of a queue's size. */
export function composedBytes({ id, topic, bytes }: MessageParts, placement: Placement): number {
  return Buffer.byteLength(composeHead(id, topic, placement)) + bytes
}

/**
 * The fields that hub and broker add to a message, which come first. Composed by hand, because this is the hot path: id and topic contain nothing
 * that JSON escapes.
 */
export function composeHead(id: string, topic: string, placement: Placement | undefined): string {
  let json = `{"type":"message","id":"${id}","topic":"${topic}"`
  if (placement?.scope !== undefined) json += `,"scope":"${placement.scope}"`
  if (placement) json += `${offsetsField(placement.offsets)},"publishedAt":${placement.publishedAt}`
  return json
}

/** Empty if no stream stores the message. Names of streams contain nothing that JSON escapes. */
function offsetsField(offsets: Offsets): string {
  let json = ''
  for (const name in offsets) {
    // An earlier version may have declared a stream with that name.
    if (name !== FORBIDDEN_KEY) json += `${json === '' ? ',"offsets":{' : ','}"${name}":${offsets[name]}`
  }
  return json === '' ? '' : `${json}}`
}
