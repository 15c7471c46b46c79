import type { FanfareError } from '../../../shared/errors.ts'
import { isWorthCompacting, valueName } from '../rules/last-value.ts'
import type { CommitLog } from './commit-log.ts'
import { ifDamaged } from './damage.ts'
import { encodeBlock, type KeptMessage, messagesOf, type RawBlock } from './raw-block.ts'
import type { StreamMirror } from './stream-mirror.ts'
import type { StreamReads } from './stream-reads.ts'
import type { Turns } from './turns.ts'

/** What one step takes on: its script has to end within a few milliseconds. */
const BLOCKS_PER_STEP = 32
const BYTES_PER_STEP = 512 * 1024
/** Values that one step indexes. */
const VALUES_PER_STEP = 2000
/** Bytes of records after which a rewritten block takes no more. */
const BLOCK_BYTES = 64 * 1024
/** Streams that one look takes on. */
const STREAMS_PER_LOOK = 8
/** A stream that was looked at is not looked at again sooner, in milliseconds: the clock of Redis may be behind the one of this node. */
const LOOK_AGAIN_MS = 50
/** What a step fails with while there is no link. */
const AGAIN: ReadonlySet<string> = new Set(['cluster_unreachable', 'outcome_unknown'])

interface Value extends KeptMessage {
  readonly name: string
}

interface Readable {
  readonly blocks: readonly RawBlock[]
  readonly values: readonly Value[]
  readonly isAtDamage: boolean
}

/**
 * Does what no client waits for: retention of streams that nothing is published to, and the blocks of last-value streams. Every node does it, in steps
 * that change nothing if another one was faster.
 */
export class Upkeep {
  private readonly log: CommitLog
  private readonly turns: Turns
  private readonly reads: StreamReads
  private readonly now: () => number
  private readonly lookedAt = new Map<StreamMirror, number>()
  private readonly compactFrom = new WeakMap<StreamMirror, number>()
  /** Replaced values that the last way through a log has left: some of them may be in blocks that cannot be read. */
  private readonly leftOver = new WeakMap<StreamMirror, number>()
  /** Steps of indexing under way. */
  private readonly indexing = new WeakMap<StreamMirror, Promise<void>>()
  private working = false

  constructor(log: CommitLog, turns: Turns, reads: StreamReads, now: () => number) {
    this.log = log
    this.turns = turns
    this.reads = reads
    this.now = now
  }

  /** Starts if something is due and it is not running. */
  look(): void {
    if (this.working) return
    const due = [...this.log.streams.values()].filter((mirror) => this.isDue(mirror)).slice(0, STREAMS_PER_LOOK)
    if (due.length === 0) return
    this.working = true
    // A failure has been logged, and the next look tries again.
    void Promise.all(due.map((mirror) => this.step(mirror)))
      .catch(() => {})
      .finally(() => {
        this.working = false
      })
  }

  /** One step of whatever a stream needs. */
  async step(mirror: StreamMirror): Promise<void> {
    this.lookedAt.set(mirror, performance.now())
    if (mirror.retainAt <= this.now()) {
      await this.turns.task({ name: 'look', args: [mirror.number] }, { frees: true })
    }
    if (mirror.unindexed.to > 0) await this.indexStep(mirror)
    else if (this.isCompacting(mirror)) await this.compact(mirror)
  }

  forget(mirror: StreamMirror): void {
    this.lookedAt.delete(mirror)
  }

  /** Resolves once all values of a stream are indexed. It does not wait for the next look, and waits for a link for as long as a read does. */
  async indexed(mirror: StreamMirror): Promise<void> {
    while (mirror.unindexed.to > 0 && this.log.streams.get(mirror.options.name) === mirror) {
      await this.indexStep(mirror).catch((error) => {
        if (!AGAIN.has((error as FanfareError).code)) throw error
      })
    }
  }

  /** All who need the next step share it. */
  private indexStep(mirror: StreamMirror): Promise<void> {
    const underWay = this.indexing.get(mirror)
    if (underWay) return underWay
    const step = this.index(mirror).finally(() => this.indexing.delete(mirror))
    this.indexing.set(mirror, step)
    return step
  }

  private isDue(mirror: StreamMirror): boolean {
    if (performance.now() - (this.lookedAt.get(mirror) ?? 0) < LOOK_AGAIN_MS) return false
    return mirror.retainAt <= this.now() || mirror.unindexed.to > 0 || this.isCompacting(mirror)
  }

  private isCompacting(mirror: StreamMirror): boolean {
    const { options, entries, superseded } = mirror
    const left = Math.min(this.leftOver.get(mirror) ?? 0, superseded)
    const isWorthIt = isWorthCompacting(entries - left, superseded - left)
    return options.lastValue && (isWorthIt || (this.compactFrom.get(mirror) ?? 0) > 0)
  }

  /** `lastValue` was switched on over a log: of some of its blocks, finds the values that stand. */
  private async index(mirror: StreamMirror): Promise<void> {
    const { from, to } = mirror.unindexed
    const { values, isAtDamage } = await this.readable(mirror, from)
    const found: (string | number)[] = []
    let next = 0
    for (const { name, offset } of values) {
      if (offset >= from && offset < to) found.push(name, offset)
      next = offset + 1
      if (found.length >= 2 * VALUES_PER_STEP) break
    }
    // A block that cannot be read has no values.
    if (isAtDamage) next = await this.reads.endOfBlock(mirror, from)
    const end = next === 0 || next >= to ? 0 : next
    const op = { name: 'index', args: [mirror.number, from, end, found.length / 2, ...found] }
    await this.turns.task(op)
  }

  /** Rewrites some blocks without the values that have been replaced. */
  private async compact(mirror: StreamMirror): Promise<void> {
    const from = Math.max(this.compactFrom.get(mirror) ?? 0, mirror.first)
    const { next } = mirror
    const { blocks, values, isAtDamage } = await this.readable(mirror, from)
    const standing = await this.reads.standing(
      mirror,
      values.map(({ name }) => name),
    )
    const kept = values.filter(({ offset }, at) => (standing[at] ?? offset) <= offset)
    let end = (values.at(-1)?.offset ?? next - 1) + 1
    if (isAtDamage) end = (await this.reads.endOfBlock(mirror, from)) || next
    if (kept.length < values.length) await this.rewrite(mirror, blocks, values.length, kept)
    this.compactFrom.set(mirror, end < next ? end : 0)
    if (end >= next) this.leftOver.set(mirror, mirror.superseded)
  }

  private async rewrite(
    { number, options: { name } }: StreamMirror,
    blocks: readonly RawBlock[],
    count: number,
    kept: readonly KeptMessage[],
  ): Promise<void> {
    const rewritten = inBlocks(kept).map((entries) => encodeBlock(name, entries))
    const members = blocks.map(({ member }) => member)
    const args = [number, count - kept.length, members.length, ...members, rewritten.length]
    const added = rewritten.flatMap(({ last, member, head, records }) => [last, member, head, records])
    await this.turns.task({ name: 'rewrite', args: [...args, ...added] }, { frees: true })
  }

  /** Some blocks from an offset on, and their values: up to the first that cannot be read. `isAtDamage`: it is the first of all. */
  private async readable(mirror: StreamMirror, from: number): Promise<Readable> {
    const found = await this.reads.blocks(mirror, from, BLOCKS_PER_STEP, BYTES_PER_STEP).catch(ifDamaged)
    const blocks: RawBlock[] = []
    const values: Value[] = []
    for (const block of found ?? []) {
      try {
        values.push(...valuesIn(mirror.options.name, block))
      } catch {
        break
      }
      blocks.push(block)
    }
    return { blocks, values, isAtDamage: blocks.length === 0 && found?.length !== 0 }
  }
}

function valuesIn(stream: string, block: RawBlock): Value[] {
  const values: Value[] = []
  // Each message is valid until the next one.
  for (const { parts, offset, time, offsets } of messagesOf(stream, [block])) {
    const { topic, key, record } = parts
    values.push({ offset, time, topic, record, offsets: { ...offsets }, name: valueName(topic, key) })
  }
  return values
}

function inBlocks(messages: readonly KeptMessage[]): KeptMessage[][] {
  const blocks: KeptMessage[][] = []
  let bytes = BLOCK_BYTES
  for (const message of messages) {
    if (bytes >= BLOCK_BYTES) {
      blocks.push([])
      bytes = 0
    }
    blocks.at(-1)?.push(message)
    bytes += message.record.length
  }
  return blocks
}
