import type { Buffer } from 'node:buffer'
import { setTimeout as passed } from 'node:timers/promises'
import BTree from 'sorted-btree'
import { FanfareError } from '../../../shared/errors.ts'
import { matchesPattern } from '../../../shared/topic.ts'
import { isReplaced } from '../rules/last-value.ts'
import { BlockCache } from './block-cache.ts'
import type { ClusterTime } from './cluster-time.ts'
import { ComposedBlock } from './composed-block.ts'
import { type BrokerLink, LinkLost } from './link.ts'
import { AT_TIME } from './lua/reads.ts'
import { RawBlock } from './raw-block.ts'
import type { StreamMirror } from './stream-mirror.ts'

/** Bytes and blocks that one read puts together. */
const READ_BYTES = 256 * 1024
const READ_BLOCKS = 256
/** Values that one command looks up. */
const VALUES_STEP = 1000
/** Fields that one step of a scan looks at. */
const SCAN_STEP = 1000
/** How often a read that waits for a link looks whether there will be one, in milliseconds. */
const LINK_WAIT_MS = 1_000
/** How long an operator's read waits for a link, in milliseconds. */
const UNREACHABLE_MS = 5_000
/** How long those who are shown figures wait for the latest, in milliseconds. */
const SHOWN_MS = 3_000

interface UnderWay {
  readonly offset: number
  /** What the stream showed when it began. */
  readonly next: number
  readonly block: Promise<ComposedBlock | undefined>
}

/** A block of a stream cannot be read: its name, and the first and last offset. Gives the error for its readers. */
type DamagedBlock = (stream: string, first: number, last: number) => FanfareError

/** Reads the logs of streams. */
export class StreamReads {
  private readonly link: BrokerLink
  private readonly time: Pick<ClusterTime, 'any' | 'ofPosition'>
  private readonly damaged: DamagedBlock
  private readonly cache = new BlockCache()
  /** The latest read of each stream that has not ended. */
  private readonly underWay = new Map<StreamMirror, UnderWay>()

  constructor(link: BrokerLink, time: Pick<ClusterTime, 'any' | 'ofPosition'>, damaged: DamagedBlock) {
    this.link = link
    this.damaged = damaged
    this.time = time
  }

  /** Repeats a read on the next link if one is lost, however long that takes: a second read does no harm, and a reader that got an error would repeat it anyway. */
  private async reading<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    for (;;) {
      await this.link.standsWithin(LINK_WAIT_MS)
      if (this.link.isClosed) throw new FanfareError('shutting_down')
      try {
        return await ask()
      } catch (error) {
        if (!(error instanceof LinkLost)) throw String(error).includes('WRONGTYPE') ? otherType() : error
      }
    }
  }

  /** What a read gives; or what was seen before, if Redis does not answer now: operators look at figures above all when something is wrong. */
  async orSeen<Answer>(ask: () => Promise<Answer>, seen: () => Answer): Promise<Answer> {
    if (!this.link.isUp) return seen()
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<Answer>((resolve) => {
      timer = setTimeout(() => resolve(seen()), SHOWN_MS)
    })
    return Promise.race([ask(), late]).finally(() => clearTimeout(timer))
  }

  /** The same for operators, who get `cluster_unreachable` instead of waiting for as long as there is no link. */
  async orUnreachable<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    let isAnswered = false
    const unreachable = async (): Promise<never> => {
      while (await this.link.standsWithin(UNREACHABLE_MS)) {
        await passed(LINK_WAIT_MS, undefined, { ref: false })
        if (isAnswered) break
      }
      throw new FanfareError(
        'cluster_unreachable',
        'Redis, which keeps streams and queues, cannot be reached. Try again.',
      )
    }
    return Promise.race([ask(), unreachable()]).finally(() => {
      isAnswered = true
    })
  }

  run(script: string, ...args: (string | number)[]): Promise<unknown> {
    return this.reading(() => this.link.read(script, [this.time.any, ...args]))
  }

  ask(...command: [string, ...(string | number)[]]): Promise<unknown> {
    return this.reading(() => this.link.ask(...command))
  }

  /** The block in which an offset lies, or the next one; values that have been replaced are hidden. Nothing from `next` on. */
  async read(mirror: StreamMirror, offset: number): Promise<ComposedBlock | undefined> {
    const { next, options } = mirror
    if (offset >= next) return undefined
    const known = options.lastValue ? undefined : this.cache.find(mirror, offset)
    if (known) return known
    const underWay = this.underWay.get(mirror)
    // A thousand readers that come back at once read the same: it is read and composed once.
    if (underWay?.offset === offset && underWay.next === next) return underWay.block
    const block = this.compose(mirror, offset, next)
    this.underWay.set(mirror, { offset, next, block })
    return block.finally(() => {
      if (this.underWay.get(mirror)?.block === block) this.underWay.delete(mirror)
    })
  }

  private async compose(mirror: StreamMirror, offset: number, next: number): Promise<ComposedBlock | undefined> {
    const { name, lastValue } = mirror.options
    const blocks = await this.blocks(mirror, offset, READ_BLOCKS)
    const shown = blocks.filter(({ member }) => firstOf(member) < next)
    if (shown.length === 0) return undefined
    const block = this.composed(name, shown)
    if (lastValue) await this.hideReplaced(mirror, block, next)
    else this.cache.add(mirror, block)
    return block
  }

  /** Puts blocks together, up to the first that cannot be read. Throws `data_damaged` if that is the first of all. */
  private composed(stream: string, blocks: readonly RawBlock[]): ComposedBlock {
    const composed = composedOf(stream, blocks)
    if (composed) return composed
    const damaged = blocks.findIndex((block) => !composedOf(stream, [block]))
    const [first] = blocks as [RawBlock]
    const some = composedOf(stream, blocks.slice(0, damaged))
    if (some) return some
    throw this.damaged(stream, firstOf(first.member), lastOf(first.member))
  }

  /**
   * Stored blocks from an offset on: at most this many, and about this many bytes; none after one that cannot be read. Throws `data_damaged` if that is the
   * first.
   */
  async blocks(
    { number, options: { name } }: StreamMirror,
    offset: number,
    most: number,
    maxBytes = READ_BYTES,
  ): Promise<RawBlock[]> {
    for (let missing = ''; ; ) {
      const range = [offset, '+inf', 'BYSCORE', 'LIMIT', 0, most]
      const members = (await this.ask('ZRANGE', this.link.keys.index(number), ...range)) as string[]
      const wanted = upTo(maxBytes, members)
      if (wanted.length === 0) return []
      const blocks = await this.stored(number, wanted)
      if (blocks.length > 0) return blocks
      // The first has just been removed or rewritten; if it is still there, it cannot be read.
      const [first] = wanted as [string]
      if (first === missing) throw this.damaged(name, firstOf(first), lastOf(first))
      missing = first
    }
  }

  /** The offset after the block in which an offset lies, or after the next one, also if that cannot be read; 0 if there is none. */
  async endOfBlock({ number }: StreamMirror, offset: number): Promise<number> {
    const range = [offset, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES']
    const [found] = (await this.ask('ZRANGE', this.link.keys.index(number), ...range)) as [string, string][]
    return found ? Number(found[1]) + 1 : 0
  }

  /** Those of some blocks that are still stored, up to the first that is not: with plain commands, because a script takes much longer for large answers. */
  private async stored(number: number, members: readonly string[]): Promise<RawBlock[]> {
    const fields = members.map(firstOf).flatMap((first) => [`h${first}`, first])
    const found = await this.reading(() => this.link.askBytes('HMGET', this.link.keys.blocks(number), ...fields))
    const values = found as (Buffer | null)[]
    const blocks: RawBlock[] = []
    for (const [at, member] of members.entries()) {
      const [head, records] = [values[2 * at], values[2 * at + 1]]
      const block = head && records && rawBlock(member, head, records)
      if (!block) break
      blocks.push(block)
    }
    return blocks
  }

  /** The offsets of the values that stand, in the places of their names. */
  async standing({ number }: StreamMirror, names: readonly string[]): Promise<(number | undefined)[]> {
    const standing: (number | undefined)[] = []
    for (let at = 0; at < names.length; at += VALUES_STEP) {
      const some = names.slice(at, at + VALUES_STEP)
      const found = (await this.ask('HMGET', this.link.keys.values(number), ...some)) as (string | null)[]
      for (const offset of found) standing.push(offset === null ? undefined : Number(offset))
    }
    return standing
  }

  private async hideReplaced(mirror: StreamMirror, block: ComposedBlock, next: number): Promise<void> {
    const standing = await this.standing(mirror, block.valueNames)
    for (const [at, offset] of standing.entries()) {
      // One that this node has not seen yet replaces nothing here.
      if (offset !== undefined && offset < next && isReplaced(block.offset(at), offset)) block.hide(at)
    }
  }

  async offsetAtTime(mirror: StreamMirror, time: number): Promise<number> {
    const { first, next, number } = mirror
    const found = await this.run(AT_TIME, number, this.time.ofPosition(time))
    return Math.min(Math.max(first, found === null ? next : Number(found)), next)
  }

  /** Offsets of the newest messages before one, `count` for each topic that matches, ascending. The values of the stream have to be indexed. */
  async newest(mirror: StreamMirror, pattern: readonly string[], count: number, before: number): Promise<number[]> {
    const { first, options } = mirror
    if (count === 0) return []
    const offsets = options.lastValue
      ? await this.newestValues(mirror, pattern, count, before)
      : await this.walkBack(mirror, pattern, count, before)
    return offsets.filter((offset) => offset >= first).sort((a, b) => a - b)
  }

  private async newestValues(mirror: StreamMirror, pattern: readonly string[], count: number, before: number) {
    const { number, first } = mirror
    const byTopic = new Map<string, number[]>()
    const take = (topic: string, offset: number) => {
      if (offset < first || offset >= before || !matchesPattern(pattern, topic.split('.'))) return
      byTopic.set(topic, [...(byTopic.get(topic) ?? []), offset])
    }
    for await (const [name, offset] of this.scan(this.link.keys.values(number)))
      take(name.slice(0, name.indexOf(' ')), offset)
    return [...byTopic.values()].flatMap((all) => all.sort((a, b) => b - a).slice(0, count))
  }

  /** All topics together, from the newest message back: so that each block is read once. */
  private async walkBack(mirror: StreamMirror, pattern: readonly string[], count: number, before: number) {
    const places = new BTree.default<number, number>()
    for await (const [topic, offset] of this.scan(this.link.keys.topics(mirror.number))) {
      if (matchesPattern(pattern, topic.split('.'))) places.set(offset, count)
    }
    const offsets: number[] = []
    const { first } = mirror
    let block: ComposedBlock | undefined
    for (let offset = places.maxKey(); offset !== undefined && offset >= first; offset = places.maxKey()) {
      let left = places.get(offset) as number
      places.delete(offset)
      if (!block || offset < block.firstOffset || offset > block.lastOffset) block = await this.blockOf(mirror, offset)
      const at = block?.find(offset) ?? 0
      const isThere = block !== undefined && at < block.count && block.offset(at) === offset
      if (isThere && offset < before) {
        offsets.push(offset)
        left--
      }
      const back = isThere ? (block?.back(at) ?? 0) : 0
      if (back > 0 && left > 0) places.set(offset - back, left)
    }
    return offsets
  }

  /** The single block of an offset, which may be one that this node has not seen yet. */
  private async blockOf(mirror: StreamMirror, offset: number): Promise<ComposedBlock | undefined> {
    const known = this.cache.find(mirror, offset)
    if (known) return known
    const blocks = await this.blocks(mirror, offset, 1)
    return blocks.length === 0 ? undefined : this.composed(mirror.options.name, blocks)
  }

  private async *scan(key: string): AsyncIterable<[string, number]> {
    const seen = new Set<string>()
    for (let cursor = '0'; ; ) {
      const [next, found] = (await this.ask('HSCAN', key, cursor, 'COUNT', SCAN_STEP)) as [string, string[]]
      for (let at = 0; at < found.length; at += 2) {
        const name = found[at] as string
        if (seen.has(name)) continue
        seen.add(name)
        yield [name, Number(found[at + 1])]
      }
      if (next === '0') return
      cursor = next
    }
  }

  forget(mirror: StreamMirror): void {
    this.cache.forget(mirror)
  }
}

function otherType(): FanfareError {
  return new FanfareError(
    'data_damaged',
    'What is stored in Redis is damaged: a key has another type. Restore a backup.',
  )
}

function composedOf(stream: string, blocks: readonly RawBlock[]): ComposedBlock | undefined {
  try {
    return blocks.length === 0 ? undefined : new ComposedBlock(stream, blocks)
  } catch {
    return undefined
  }
}

function rawBlock(member: string, head: Buffer, records: Buffer): RawBlock | undefined {
  try {
    return new RawBlock(member, head, records)
  } catch {
    return undefined
  }
}

function firstOf(member: string): number {
  return Number(member.slice(0, member.indexOf(':')))
}

/** As far as the index says. */
function lastOf(member: string): number {
  return firstOf(member) + Number(member.split(':').at(-1)) - 1
}

/** The members of blocks that have about this many bytes together, and at least one. */
function upTo(maxBytes: number, members: readonly string[]): readonly string[] {
  let bytes = 0
  const end = members.findIndex((member, at) => {
    bytes += Number(member.split(':', 2)[1])
    return at > 0 && bytes > maxBytes
  })
  return end < 0 ? members : members.slice(0, end)
}
