import type { Position } from '../../../../shared/streams.ts'
import { randomId } from '../../../id/random-id.ts'
import { cursorKey, fromJson, streamKey, toJson, under } from '../store/keys.ts'
import type { Change, Store } from '../store/store.ts'
import type { StreamRecord } from './stream-log.ts'

/**
 * Call before a broker opens a backup. What a hub kept after the copy was made is gone, and its offsets come again for
 * other messages; so each stream gets a new epoch, by which readers learn it. The cursors were copied with their
 * streams and go on, but not beyond the end.
 */
export async function giveNewEpochs(store: Store): Promise<void> {
  const changes: Change[] = []
  for (const [, value] of store.range(under('s'))) {
    const record: StreamRecord = { ...(fromJson(value) as StreamRecord), epoch: randomId(8) }
    changes.push({ key: streamKey(record.id), value: toJson(record) })
    for (const [key, cursor] of store.range(under('c', record.id))) {
      const { offset } = fromJson(cursor) as Position
      const position = { epoch: record.epoch, offset: Math.min(offset, record.next) }
      changes.push({ key: cursorKey(record.id, key[2] as string), value: toJson(position) })
    }
  }
  if (changes.length > 0) await store.commit(changes, 'room')
}
