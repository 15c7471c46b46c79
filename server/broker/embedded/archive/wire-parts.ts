import { FanfareError } from '../../../../shared/errors.ts'
import type { Offsets } from '../../../../shared/streams.ts'
import { type QueuedContent, wellFormed } from '../../archive.ts'
import { splitRecord } from '../../rules/record.ts'

/** What `compose` puts before the fields of the publisher. */
const HEAD =
  /^\{"type":"message","id":"([^"]*)","topic":"([^"]*)"(?:,"scope":"([^"]*)")?(?:,"offsets":(\{[^}]*\}))?,"publishedAt":(\d+)/

/** The parts that a stored wire form was composed from. Key and expiry come from where they are stored besides it. */
export function partsOf(
  wire: string | Uint8Array,
  key: string | undefined,
  expiresAt: number | undefined,
): QueuedContent {
  const { header, payload } = typeof wire === 'string' ? { header: wire, payload: undefined } : splitRecord(wire)
  const head = HEAD.exec(header)
  if (!head)
    throw new FanfareError('data_damaged', 'A message of the database cannot be read. Restore a backup, then copy it.')
  const [{ length }, id = '', topic = '', scope, offsets, publishedAt] = head
  return {
    publishedAt: Number(publishedAt),
    offsets: offsets === undefined ? {} : (JSON.parse(offsets) as Offsets),
    scope,
    content: {
      id,
      topic,
      key: key === undefined ? undefined : wellFormed(key),
      expiresAt,
      rest: header.slice(length, -'}'.length),
      payload,
    },
  }
}
