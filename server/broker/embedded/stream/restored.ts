import type { Position } from '../../../../shared/streams.ts'
import { randomId } from '../../../id/random-id.ts'
import { cursorKey, fromJson, streamKey, toJson, under } from '../store/keys.ts'
import type { Change, Store } from '../store/store.ts'
import type { StreamRecord } from './stream-record.ts'

/**
 * Call before a broker opens a backup. What a hub stored after the copy was made is lost, and its offsets will be assigned to other
 * messages. So each stream gets a new epoch, which tells readers about it. The cursors were copied with their streams and stay
 * valid, but not beyond the end.
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
