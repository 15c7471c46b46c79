import type { Clock } from '../../shared/clock.ts'
import { FanfareError } from '../../shared/errors.ts'
import type { SubscribeFrame } from '../../shared/frames.ts'
import type { StreamPage } from '../../shared/json-message.ts'
import { type Indexed, PatternIndex } from '../../shared/pattern-index.ts'
import type { CursorPage, StreamOptions } from '../../shared/streams.ts'
import type { StreamStatus } from '../../shared/sys.ts'
import { parsePattern } from '../../shared/topic.ts'
import type { Broker, CursorRange, StreamState } from '../broker/broker.ts'
import { type Declared, withMaxBytes } from '../broker/rules/declarations.ts'
import { type NameLimits, NameQuota } from '../limit/name-quota.ts'
import type { Feed } from './feed.ts'
import { readPage } from './page.ts'
import { ReadTurns } from './read-turns.ts'

/** A pattern of topics that a stream captures. */
interface Capture extends Indexed {
  readonly stream: Stream
}

interface Stream {
  /** Increases with each declaration: the order of streams in lists and receipts. */
  readonly number: number
  state: StreamState
  captures: readonly Capture[]
  readonly feeds: Set<Feed>
  /** As of the last sample. */
  sampledNext: number
  publishedPerSecond: number
}

/** The figures of a stream that are available at any time. */
export interface StreamFigures {
  readonly state: StreamState
  /** Rate of the last second. */
  readonly publishedPerSecond: number
}

/** Maximum number of streams named in an error. */
const NAMED = 10

/** The streams of a hub: what they capture, and their subscriptions. */
export class Streams {
  /** Shared by all feeds. */
  readonly reads = new ReadTurns()
  private readonly broker: Broker
  private readonly clock: Clock
  private readonly quota: NameQuota
  private readonly byName = new Map<string, Stream>()
  private readonly captures = new PatternIndex<Capture>()
  private lastNumber = 0
  private busy: { readonly name: string; readonly publishedPerSecond: number }[] = []
  /** Called when a stream was deleted. */
  onDelete: (name: string) => void = () => {}

  constructor(broker: Broker, clock: Clock, limits: NameLimits) {
    this.broker = broker
    this.clock = clock
    this.quota = new NameQuota(limits, { names: this.byName, patterns: this.captures })
  }

  /** Declares the streams of the configuration, which take precedence over their stored declarations. */
  async open(configured: readonly Declared<StreamOptions>[]): Promise<void> {
    // All at once, so that they share one commit.
    await Promise.all(configured.map((options) => this.broker.declareStream(this.complete(options), true)))
  }

  // Events of the broker: nothing else changes which streams exist.

  declared(state: StreamState): void {
    const { name, topics } = state.options
    let stream = this.byName.get(name)
    if (stream) {
      const isRenewed = stream.state.epoch !== state.epoch
      stream.state = state
      if (isRenewed) for (const feed of stream.feeds) feed.renewed(state)
    } else {
      const counts = { sampledNext: state.next, publishedPerSecond: 0 }
      stream = { number: ++this.lastNumber, state, captures: [], feeds: new Set(), ...counts }
      this.byName.set(name, stream)
    }
    this.capture(stream, topics)
  }

  deleted(name: string): void {
    const stream = this.byName.get(name)
    this.byName.delete(name)
    for (const capture of stream?.captures ?? []) this.captures.remove(capture)
    this.onDelete(name)
    for (const feed of stream?.feeds ?? [])
      feed.fail(new FanfareError('no_stream', `The stream "${name}" was deleted.`))
  }

  /** Messages were committed but not reported: live feeds read them from the log. */
  missed(from: ReadonlyMap<string, number>): void {
    for (const [name, offset] of from) for (const feed of this.byName.get(name)?.feeds ?? []) feed.missed(offset)
  }

  /** The streams that capture a topic; for the words of a pattern, the streams that capture everything that it matches. */
  streamsOf(words: readonly string[]): readonly string[] {
    const found = new Set<Stream>()
    for (const captures of this.captures.match(words)) for (const { stream } of captures) found.add(stream)
    return [...found].sort((a, b) => a.number - b.number).map(({ state }) => state.options.name)
  }

  /** The stream that a subscription refers to. Throws `no_stream`, `policy_unsupported`, `ambiguous_stream`. */
  streamFor({ stream, pattern, from, cursor }: SubscribeFrame): string {
    if (stream !== undefined) {
      if (!this.byName.has(stream))
        throw new FanfareError('no_stream', `There is no stream "${stream}". Declare it, or correct its name.`)
      return stream
    }
    const covering = this.streamsOf(parsePattern(pattern))
    const [first, ...others] = covering
    if (first === undefined) {
      const isPolicy = from === undefined && cursor === undefined
      const code = isPolicy ? 'policy_unsupported' : 'no_stream'
      const remedy = isPolicy
        ? 'The policy "pause" needs one: choose another policy.'
        : 'Declare one, or subscribe without a start or cursor.'
      throw new FanfareError(code, `No stream captures all topics of "${pattern}". ${remedy}`)
    }
    if (others.length > 0)
      throw new FanfareError(
        'ambiguous_stream',
        `Pattern "${pattern}" matches several streams (${nameSome(covering)}). Choose one with the stream option.`,
      )
    return first
  }

  has(name: string): boolean {
    return this.byName.has(name)
  }

  topicsOf(name: string): readonly (readonly string[])[] {
    return this.byName.get(name)?.captures.map(({ words }) => words) ?? []
  }

  attach(feed: Feed): void {
    this.byName.get(feed.stream)?.feeds.add(feed)
  }

  detach(feed: Feed): void {
    this.byName.get(feed.stream)?.feeds.delete(feed)
  }

  /** In the order of declaration. */
  get names(): Iterable<string> {
    return this.byName.keys()
  }

  get count(): number {
    return this.byName.size
  }

  /** Computes the rates. Call once every `seconds`. */
  sample(seconds: number): void {
    this.busy = []
    for (const [name, stream] of this.byName) {
      const { next } = this.broker.stream(name) ?? stream.state
      stream.publishedPerSecond = Math.max(0, next - stream.sampledNext) / seconds
      stream.sampledNext = next
      if (stream.publishedPerSecond > 0) this.busy.push({ name, publishedPerSecond: stream.publishedPerSecond })
    }
  }

  /** Streams that captured messages in the last second, and how many. */
  get rates(): Iterable<{ readonly name: string; readonly publishedPerSecond: number }> {
    return this.busy
  }

  /** Streams as operators see them; skips those that do not exist. */
  async list(names: readonly string[]): Promise<StreamStatus[]> {
    const infos = await this.broker.streams(names)
    return infos.map((info) => ({ ...info, publishedPerSecond: this.byName.get(info.name)?.publishedPerSecond ?? 0 }))
  }

  /** The figures of a stream without a full description: cheap enough to be read for every stream. */
  figures(name: string): StreamFigures | undefined {
    const state = this.broker.stream(name)
    return state && { state, publishedPerSecond: this.byName.get(name)?.publishedPerSecond ?? 0 }
  }

  /** The options of a stream. Throws `no_stream`. */
  options(name: string): StreamOptions {
    const stream = this.broker.stream(name)
    if (!stream) throw new FanfareError('no_stream', `There is no stream "${name}". Declare it, or correct its name.`)
    return stream.options
  }

  async show(name: string): Promise<StreamStatus> {
    const [info] = await this.list([name])
    if (!info) throw new FanfareError('no_stream', `There is no stream "${name}". Declare it, or correct its name.`)
    return info
  }

  /** A page of the messages whose topic `mayRead` permits. */
  read(
    name: string,
    page: { readonly from: number; readonly limit: number },
    mayRead: (topic: string) => boolean,
  ): Promise<StreamPage> {
    return readPage(this.broker, name, page, mayRead, this.clock)
  }

  async cursors(name: string, { limit, ...range }: CursorRange): Promise<CursorPage> {
    const cursors = await this.broker.cursors(name, { ...range, limit: limit + 1 })
    return { cursors: cursors.slice(0, limit), end: cursors.length <= limit }
  }

  deleteCursor(name: string, cursor: string): Promise<void> {
    return this.broker.deleteCursor(name, cursor)
  }

  /** With `before` it has these options, and gets others. */
  async declare(declared: Declared<StreamOptions>, before?: StreamOptions): Promise<StreamStatus> {
    const options = this.complete(declared)
    const { name, topics } = options
    const more = before ? topics.length - before.topics.length : 0
    const declare = () => this.broker.declareStream(options, before !== undefined)
    await this.quota.declare(name, topics.length, declare, more)
    return this.show(name)
  }

  private complete(options: Declared<StreamOptions>): StreamOptions {
    return withMaxBytes(options, this.broker.stream(options.name)?.options, this.broker.defaultMaxBytes)
  }

  async trim(name: string, before: number | undefined): Promise<StreamStatus> {
    await this.broker.trimStream(name, before ?? Number.MAX_SAFE_INTEGER)
    return this.show(name)
  }

  async delete(name: string): Promise<void> {
    await this.broker.deleteStream(name)
  }

  private capture(stream: Stream, topics: readonly string[]): void {
    for (const capture of stream.captures) this.captures.remove(capture)
    stream.captures = topics.map((pattern) => ({ stream, words: parsePattern(pattern), slot: -1 }))
    for (const capture of stream.captures) this.captures.add(capture)
  }
}

/** The first of many names, so that an error stays short. */
function nameSome(names: readonly string[]): string {
  const more = names.length - NAMED
  return names.slice(0, NAMED).join(', ') + (more > 0 ? ` and ${more} more` : '')
}
