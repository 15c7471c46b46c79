import type { Logger } from 'pino'
import { FanfareError } from '../../../shared/errors.ts'
import type { Position, StreamInfo, StreamOptions } from '../../../shared/streams.ts'
import type { Block } from '../block.ts'
import type { Broker, Draft, StreamState } from '../broker.ts'
import { DedupWindow } from './dedup-window.ts'
import { cursorKey, fromJson, toJson, under } from './keys.ts'
import type { Change, Store } from './store.ts'
import { type Place, StreamLog, type StreamRecord } from './stream-log.ts'

export interface EmbeddedOptions {
  readonly dedupWindowMs: number
  readonly dedupIds: number
  /** Milliseconds since 1970; a test has its own clock. */
  readonly now?: () => number
}

/** Drafts of one commit at most. */
const GROUP = 10_000
/** How often retention is looked after where nothing is published, in milliseconds. */
const TICK_MS = 1_000

/** A change of something other than messages: adds to a commit, and gives what to do when that has succeeded. */
interface Task {
  stage(changes: Change[]): () => void
  done(error?: Error): void
}

/**
 * The broker in the hub's own process, over a store.
 *
 * Commits come one after another; while one is under way the next group gathers, so that a slow disk makes larger
 * groups and not longer queues.
 */
export class EmbeddedBroker implements Broker {
  private readonly store: Store
  private readonly log: Logger
  private readonly now: () => number
  private readonly dedup: DedupWindow
  private readonly logs = new Map<string, StreamLog>()
  /** Those that the commit under way changes. */
  private readonly touched = new Set<StreamLog>()
  private readonly ticker: NodeJS.Timeout
  private waiting: Draft[] = []
  private tasks: Task[] = []
  private working: Promise<void> | undefined = undefined
  private nextId = 1

  constructor(store: Store, options: EmbeddedOptions, log: Logger) {
    this.store = store
    this.log = log
    this.now = options.now ?? Date.now
    this.dedup = new DedupWindow(store, options.dedupWindowMs, options.dedupIds)
    for (const [, value] of store.range(under('s'))) {
      const record = fromJson(value) as StreamRecord
      this.logs.set(record.options.name, new StreamLog(store, record))
      this.nextId = Math.max(this.nextId, record.id + 1)
    }
    this.ticker = setInterval(() => this.tick(), TICK_MS).unref()
  }

  publish(draft: Draft): void {
    this.waiting.push(draft)
    this.work()
  }

  stream(name: string): StreamState | undefined {
    return this.logs.get(name)
  }

  async declareStream(options: StreamOptions, replace: boolean): Promise<StreamState> {
    await this.change(() => {
      const existing = this.logs.get(options.name)
      if (!existing) return this.create(options)
      if (JSON.stringify(existing.options) === JSON.stringify(options)) return () => {}
      if (!replace) throw new FanfareError('stream_exists', `"${options.name}"`)
      existing.setOptions(options)
      this.touched.add(existing)
      return () => {}
    })
    return this.logOf(options.name)
  }

  async deleteStream(name: string): Promise<void> {
    await this.change((changes) => {
      changes.push(...this.logOf(name).keys())
      return () => this.logs.delete(name)
    })
  }

  async trimStream(name: string, before: number): Promise<void> {
    await this.change(() => {
      const log = this.logOf(name)
      log.trim(before)
      this.touched.add(log)
      return () => {}
    })
  }

  async streams(): Promise<StreamInfo[]> {
    return [...this.logs.values()].map((log) => log.info())
  }

  async read(stream: string, offset: number): Promise<Block | undefined> {
    return this.logOf(stream).read(offset)
  }

  async offsetAtTime(stream: string, time: number): Promise<number> {
    return this.logOf(stream).offsetAtTime(time)
  }

  async newest(stream: string, pattern: readonly string[], count: number): Promise<number[]> {
    return this.logOf(stream).newest(pattern, count)
  }

  async cursor(stream: string, name: string): Promise<Position | undefined> {
    return this.logOf(stream).cursor(name)
  }

  async setCursor(stream: string, name: string, offset: number): Promise<void> {
    await this.change((changes) => {
      const log = this.logOf(stream)
      changes.push({ key: cursorKey(log.id, name), value: toJson({ epoch: log.epoch, offset }) })
      return () => {}
    })
  }

  async close(): Promise<void> {
    clearInterval(this.ticker)
    await this.working
    await this.store.close()
  }

  private logOf(name: string): StreamLog {
    const log = this.logs.get(name)
    if (!log) throw new FanfareError('no_stream', `There is no stream ${JSON.stringify(name)}`)
    return log
  }

  private create(options: StreamOptions): () => void {
    const created = StreamLog.create(this.store, this.nextId++, options)
    this.touched.add(created)
    return () => this.logs.set(options.name, created)
  }

  private change(stage: Task['stage']): Promise<void> {
    return new Promise((resolve, reject) => {
      this.tasks.push({ stage, done: (error) => (error ? reject(error) : resolve()) })
      this.work()
    })
  }

  /** Lets retention have a look, and ids expire, where nothing else would. */
  private tick(): void {
    if (this.working || this.logs.size === 0) return
    const lookAtAll = () => {
      for (const log of this.logs.values()) this.touched.add(log)
      return () => {}
    }
    // Its failure has been logged, and the next tick tries again.
    void this.change(lookAtAll).catch(() => {})
  }

  private work(): void {
    this.working ??= this.commitAll()
  }

  private async commitAll(): Promise<void> {
    // Whatever this turn still brings goes into the same commit.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.waiting.length > 0 || this.tasks.length > 0) {
      const drafts = this.waiting.splice(0, GROUP)
      const { tasks } = this
      this.tasks = []
      await this.commit(drafts, tasks)
    }
    // In the same breath as the last look at what waits, or a draft that comes now would be left.
    this.working = undefined
  }

  private async commit(drafts: readonly Draft[], tasks: readonly Task[]): Promise<void> {
    const changes: Change[] = []
    const now = this.now()
    const done = [...this.stageTasks(tasks, changes), ...this.stageDrafts(drafts, changes, now)]
    const durable = tasks.length > 0 || drafts.some(({ streams }) => streams.some((name) => this.isDurable(name)))
    for (const log of this.touched) log.finish(changes, now)
    this.dedup.finish(changes, now)
    try {
      if (changes.length > 0) await this.store.commit(changes, durable)
    } catch (thrown) {
      this.fail(thrown as Error, drafts, tasks)
      return
    }
    for (const log of this.touched) log.apply()
    this.touched.clear()
    this.dedup.apply(now)
    for (const finish of done) finish()
  }

  private stageTasks(tasks: readonly Task[], changes: Change[]): (() => void)[] {
    const done: (() => void)[] = []
    for (const task of tasks) {
      try {
        const apply = task.stage(changes)
        done.push(() => {
          apply()
          task.done()
        })
      } catch (error) {
        task.done(error as Error)
      }
    }
    return done
  }

  private stageDrafts(drafts: readonly Draft[], changes: Change[], now: number): (() => void)[] {
    return drafts.map((draft) => {
      const known = draft.ownId ? this.dedup.find(draft.id) : undefined
      const offsets = known ?? this.place(draft, changes, now)
      return () => draft.kept({ duplicate: known !== undefined, positions: this.positions(offsets) })
    })
  }

  /** Gives a draft its places, and adds it to them. */
  private place(draft: Draft, changes: Change[], now: number): Readonly<Record<string, number>> {
    const offsets: Record<string, number> = {}
    const places: { readonly log: StreamLog; readonly place: Place }[] = []
    for (const name of draft.streams) {
      const log = this.logs.get(name)
      // Deleted since the draft was routed.
      if (!log) continue
      this.touched.add(log)
      const place = log.reserve(now)
      offsets[name] = place.offset
      places.push({ log, place })
    }
    const wire = draft.encode(now, offsets)
    for (const { log, place } of places) log.add(draft, place, wire, changes)
    if (draft.ownId) this.dedup.add(draft.id, offsets)
    return offsets
  }

  private fail(error: Error, drafts: readonly Draft[], tasks: readonly Task[]): void {
    for (const log of this.touched) log.rollback()
    this.touched.clear()
    this.dedup.rollback()
    const known = error instanceof FanfareError ? error : new FanfareError('storage_failed', error.message)
    this.log.error({ err: error, code: known.code, publishes: drafts.length }, 'a commit failed')
    for (const draft of drafts) draft.refused(known)
    for (const task of tasks) task.done(known)
  }

  private isDurable(name: string): boolean {
    return this.logs.get(name)?.options.durability === 'disk'
  }

  private positions(offsets: Readonly<Record<string, number>>): Record<string, Position> {
    const positions: Record<string, Position> = {}
    for (const [name, offset] of Object.entries(offsets)) {
      const log = this.logs.get(name)
      if (log) positions[name] = { epoch: log.epoch, offset }
    }
    return positions
  }
}
