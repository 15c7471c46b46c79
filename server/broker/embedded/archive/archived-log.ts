import type { StreamMessage } from '../../archive.ts'
import { compose } from '../../compose.ts'
import { blockKey, streamKey, toJson } from '../store/keys.ts'
import type { Change, Store } from '../store/store.ts'
import { type Entry, encodeBlock, inBlocks } from '../stored-block.ts'
import { LastValues } from '../stream/last-values.ts'
import { NewestOffsets } from '../stream/newest-offsets.ts'
import type { StreamRecord } from '../stream/stream-record.ts'

/**
 * A stream that is being copied: its messages come with their offsets. Unlike `StreamLog` it applies no retention, because the copy
 * has to hold what its source holds; its hub does that.
 */
export class ArchivedLog {
  readonly record: StreamRecord
  private readonly topics: NewestOffsets
  private readonly values: LastValues

  constructor(store: Store, record: StreamRecord) {
    this.record = record
    this.topics = new NewestOffsets(store, record.id)
    this.values = new LastValues(store, record.id)
  }

  add(messages: readonly StreamMessage[]): Change[] {
    const { record } = this
    const entries = messages.map((message) => this.entryOf(message))
    const changes: Change[] = []
    for (const block of inBlocks(entries)) {
      const value = encodeBlock(block)
      record.bytes += value.length
      changes.push({ key: blockKey(record.id, (block[0] as Entry).offset), value })
    }
    record.entries += entries.length
    this.topics.finish(changes)
    if (record.options.lastValue && !record.unindexed) {
      for (const { topic, key, offset } of entries) this.values.add(topic, key, offset)
      this.values.finish(entries, changes)
      this.values.settle()
    }
    changes.push({ key: streamKey(record.id), value: toJson(record) })
    return changes
  }

  private entryOf({ offset, publishedAt, offsets, content }: StreamMessage): Entry {
    const { topic, key, expiresAt } = content
    const before = this.topics.newestOf(topic)
    this.topics.add(topic, offset)
    const wire = compose(content, { publishedAt, offsets, scope: undefined })
    const back = before === undefined ? 0 : offset - before
    return { offset, time: publishedAt, topic, key, expiresAt, back, wire }
  }
}
