import type { Clock } from '../../shared/clock.ts'
import { FanfareError } from '../../shared/errors.ts'
import type { SubscribeFrame } from '../../shared/frames.ts'
import type { StreamPage } from '../../shared/json-message.ts'
import type { CursorPage, StreamOptions } from '../../shared/streams.ts'
import type { StreamStatus } from '../../shared/sys.ts'
import { isCovered, matchesPattern, parsePattern } from '../../shared/topic.ts'
import type { Broker, CursorRange, StreamState } from '../broker/broker.ts'
import type { Feed } from './feed.ts'
import { readPage } from './page.ts'

interface Stream {
  readonly state: StreamState
  readonly patterns: readonly (readonly string[])[]
  readonly feeds: Set<Feed>
  /** As of the last sample. */
  sampledNext: number
  publishedPerSecond: number
}

/** The streams of a hub: what they capture, and who is fed from them. */
export class Streams {
  private readonly broker: Broker
  private readonly clock: Clock
  private readonly byName = new Map<string, Stream>()
  /** Told when topics may be captured by others than before. */
  onChange: () => void = () => {}

  constructor(broker: Broker, clock: Clock) {
    this.broker = broker
    this.clock = clock
  }

  /** Takes in what the broker has from before, then what the configuration declares, which is the stronger. */
  async open(declared: readonly StreamOptions[]): Promise<void> {
    for (const { name } of await this.broker.streams()) this.enter(this.broker.stream(name) as StreamState)
    for (const options of declared) await this.declare(options, true)
  }

  streamsOf(words: readonly string[]): readonly string[] {
    const names: string[] = []
    for (const [name, { patterns }] of this.byName) {
      if (patterns.some((pattern) => matchesPattern(pattern, words))) names.push(name)
    }
    return names
  }

  /** The stream that a subscription means. Throws `no_stream`, `policy_unsupported`, `ambiguous_stream`. */
  streamFor({ stream, pattern, from, cursor }: SubscribeFrame): string {
    if (stream !== undefined) {
      if (!this.byName.has(stream)) throw new FanfareError('no_stream', `There is no stream "${stream}"`)
      return stream
    }
    const words = parsePattern(pattern)
    const covering = [...this.byName].filter(([, { patterns }]) => isCovered(words, patterns)).map(([name]) => name)
    const [first, ...others] = covering
    if (first === undefined) {
      const code = from === undefined && cursor === undefined ? 'policy_unsupported' : 'no_stream'
      throw new FanfareError(code, `No stream captures all of ${JSON.stringify(pattern)}`)
    }
    if (others.length > 0) throw new FanfareError('ambiguous_stream', covering.join(', '))
    return first
  }

  /** Patterns of the topics that a stream captures. */
  topicsOf(name: string): readonly (readonly string[])[] {
    return this.byName.get(name)?.patterns ?? []
  }

  attach(feed: Feed): void {
    this.byName.get(feed.stream)?.feeds.add(feed)
  }

  detach(feed: Feed): void {
    this.byName.get(feed.stream)?.feeds.delete(feed)
  }

  get names(): Iterable<string> {
    return this.byName.keys()
  }

  get count(): number {
    return this.byName.size
  }

  /** Works out the rates; to be called once in `seconds`. */
  sample(seconds: number): void {
    for (const [name, stream] of this.byName) {
      const { next } = this.broker.stream(name) ?? stream.state
      stream.publishedPerSecond = Math.max(0, next - stream.sampledNext) / seconds
      stream.sampledNext = next
    }
  }

  async list(): Promise<StreamStatus[]> {
    const infos = await this.broker.streams()
    return infos.map((info) => ({ ...info, publishedPerSecond: this.byName.get(info.name)?.publishedPerSecond ?? 0 }))
  }

  async show(name: string): Promise<StreamStatus> {
    const info = (await this.list()).find((stream) => stream.name === name)
    if (!info) throw new FanfareError('no_stream', `There is no stream "${name}"`)
    return info
  }

  /** A page of what `mayRead` permits, by topic. */
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

  async declare(options: StreamOptions, replace: boolean): Promise<StreamStatus> {
    this.enter(await this.broker.declareStream(options, replace))
    return this.show(options.name)
  }

  async trim(name: string, before: number | undefined): Promise<StreamStatus> {
    await this.broker.trimStream(name, before ?? Number.MAX_SAFE_INTEGER)
    return this.show(name)
  }

  async delete(name: string): Promise<void> {
    await this.broker.deleteStream(name)
    const stream = this.byName.get(name)
    this.byName.delete(name)
    this.onChange()
    for (const feed of stream?.feeds ?? []) feed.fail(new FanfareError('no_stream', `"${name}" was deleted`))
  }

  private enter(state: StreamState): void {
    const { name, topics } = state.options
    const before = this.byName.get(name)
    this.byName.set(name, {
      state,
      patterns: topics.map(parsePattern),
      feeds: before?.feeds ?? new Set(),
      sampledNext: before?.sampledNext ?? state.next,
      publishedPerSecond: before?.publishedPerSecond ?? 0,
    })
    this.onChange()
  }
}
