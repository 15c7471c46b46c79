import { Buffer } from 'node:buffer'
import { setImmediate } from 'node:timers'
import type { Logger } from 'pino'
import { sentence } from '../../../shared/error-text.ts'
import { FanfareError } from '../../../shared/errors.ts'
import type { UnexpectedErrors } from '../../failure/unexpected-errors.ts'
import type { Draft, Kept } from '../broker.ts'
import { listOf, type OpResult, type TurnAnswer } from './answers.ts'
import { type CommitLog, placed } from './commit-log.ts'
import type { EncodedDraft, PublishOps } from './publish-op.ts'
import { type Op, SpaceGone, type Writer } from './writer.ts'

/** Maximum of a turn: a script has to end within a few milliseconds. */
const TURN_DRAFTS = 500
const TURN_TASKS = 500
const TURN_BYTES = 256 * 1024

/** Something other than messages. */
export interface Task {
  readonly op: Op
  /** It declares or deletes something, so that drafts get new routes after it. */
  readonly declares: boolean
  /** It frees something, and runs although there is no room. */
  readonly frees: boolean
  done(result: OpResult): void
  failed(error: Error): void
}

/** A draft of a turn, and what has become of it. */
interface Slot {
  readonly encoded: EncodedDraft
  /** An earlier one of the same turn with the same id. */
  readonly sameAs: Slot | undefined
  answer: Kept | FanfareError | undefined
}

interface TurnWork {
  readonly tasks: readonly Task[]
  /** The tasks that have no answer yet. */
  open: Task[]
  readonly slots: Slot[]
  /** What to do once the commit is applied, in order. */
  readonly answers: (() => void)[]
  commit: number
}

/**
 * Gathers what the hub brings while a turn is under way, and sends it as the next one. Answers come when the log has applied what they answer: every node
 * has its messages by then.
 */
export class Turns {
  private readonly writer: Writer
  private readonly ops: PublishOps
  private readonly log: CommitLog
  private readonly unexpected: UnexpectedErrors
  private readonly logger: Logger
  /** The space is another one: makes it as it was, and gives what has to be declared again. */
  private readonly renew: () => Promise<void>
  /** A commit of this node is in Redis. */
  onCommit: (commit: number) => void = () => {}
  private tasks: Task[] = []
  private drafts: Draft[] = []
  private owesDrafts = false
  private working: Promise<void> | undefined = undefined

  constructor(
    writer: Writer,
    ops: PublishOps,
    log: CommitLog,
    renew: () => Promise<void>,
    unexpected: UnexpectedErrors,
    logger: Logger,
  ) {
    this.writer = writer
    this.ops = ops
    this.log = log
    this.renew = renew
    this.unexpected = unexpected
    this.logger = logger
  }

  publish(draft: Draft): void {
    this.drafts.push(draft)
    this.work()
  }

  /** Does an op in the next turn. A refusal of the op resolves, too. */
  task(op: Op, { declares = false, frees = false } = {}): Promise<OpResult> {
    return new Promise((done, failed) => {
      this.tasks.push({ op, declares, frees, done, failed })
      this.work()
    })
  }

  /** Resolves when nothing is under way. */
  async finished(): Promise<void> {
    await this.working
  }

  get idle(): boolean {
    return this.working === undefined
  }

  private work(): void {
    this.working ??= this.workAll()
  }

  private async workAll(): Promise<void> {
    // Whatever this turn of the event loop still brings goes along.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.tasks.length > 0 || this.drafts.length > 0) {
      try {
        await this.takeTurn()
      } catch (error) {
        this.unexpected.report('broker', error)
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    this.working = undefined
  }

  private async takeTurn(): Promise<void> {
    const tasks = this.owesDrafts ? [] : this.tasks.splice(0, TURN_TASKS)
    const declares = tasks.some((task) => task.declares)
    // They get new routes after what is declared.
    const drafts = declares ? [] : this.nextDrafts()
    this.owesDrafts = declares && this.drafts.length > 0
    const work: TurnWork = { tasks, open: tasks, slots: [], answers: [], commit: this.log.applied }
    this.prepare(drafts, work)
    const start = performance.now()
    await this.commit(work)
    this.answerSlots(work)
    this.log.after(
      work.commit,
      () => {
        for (const answer of work.answers) this.unexpected.run('broker', answer)
      },
      () => this.lost(work),
    )
    const seconds = (performance.now() - start) / 1000
    this.unexpected.run('broker', () => this.log.events.committed({ seconds, operations: drafts.length }))
    // Drafts are routed by what the log has applied.
    if (declares) await this.log.reached(work.commit)
  }

  private nextDrafts(): Draft[] {
    let bytes = 0
    let count = 0
    for (; count < Math.min(this.drafts.length, TURN_DRAFTS); count++) {
      bytes += this.bytesOf(this.drafts[count] as Draft)
      if (count > 0 && bytes > TURN_BYTES) break
    }
    return this.drafts.splice(0, count)
  }

  private bytesOf(draft: Draft): number {
    try {
      return draft.bytes
    } catch {
      // It has no form, and is refused for it.
      return 0
    }
  }

  /** Encodes and routes drafts. What cannot be is refused in its place. */
  private prepare(drafts: readonly Draft[], work: TurnWork): void {
    const byIdentity = new Map<string, Slot>()
    for (const draft of drafts) {
      const encoded = this.routed(draft) ?? this.encoded(draft)
      if (encoded instanceof FanfareError) {
        const nothing = { draft, record: NO_RECORD, identity: undefined }
        work.slots.push({ encoded: nothing, sameAs: undefined, answer: encoded })
        continue
      }
      const { identity } = encoded
      const sameAs = identity === undefined ? undefined : byIdentity.get(identity)
      const slot: Slot = { encoded, sameAs, answer: undefined }
      if (identity !== undefined && !sameAs && isKept(slot)) byIdentity.set(identity, slot)
      work.slots.push(slot)
    }
  }

  private encoded(draft: Draft): EncodedDraft | FanfareError {
    try {
      return this.ops.encode(draft)
    } catch (error) {
      return new FanfareError(
        'storage_failed',
        `The message could not be stored: ${sentence((error as Error).message)}`,
      )
    }
  }

  /** Routes a draft by the declarations as they are now; gives why it can no longer be published. */
  private routed(draft: Draft): FanfareError | undefined {
    try {
      if (draft.route.generation !== this.log.generation) draft.reroute()
      return undefined
    } catch (error) {
      if (error instanceof FanfareError) return error
      throw error
    }
  }

  /** Sends until everything has an answer. */
  private async commit(work: TurnWork): Promise<void> {
    for (;;) {
      const open = work.slots.filter(({ answer, sameAs }) => answer === undefined && !sameAs)
      if (work.open.length === 0 && open.length === 0) return
      const ops = work.open.map(({ op }) => op)
      if (open.length > 0) {
        ops.push(
          this.ops.op(
            open.map(({ encoded }) => encoded),
            this.log.generation,
            this.log.streams,
          ),
        )
      }
      const needsRoom = work.open.some(({ frees }) => !frees) || open.some(isKept)
      let answer: TurnAnswer
      try {
        answer = await this.writer.turn(ops, needsRoom)
      } catch (error) {
        await this.failed(error, work, open, needsRoom)
        continue
      }
      await this.answered(answer, work, open)
    }
  }

  private async answered({ e: event, r, c }: TurnAnswer, work: TurnWork, open: readonly Slot[]): Promise<void> {
    const results = listOf<OpResult>(r)
    work.commit = c
    for (const [at, task] of work.open.entries()) work.answers.push(() => task.done(results[at] ?? {}))
    const published = open.length > 0 ? results[work.open.length] : undefined
    work.open = []
    const isDone = published !== undefined && published.x === undefined
    if (event) {
      const parts = isDone ? open.map(({ encoded }) => encoded.draft) : []
      this.log.own(event, parts.length > 0 ? placed(event, parts) : [])
    }
    this.onCommit(c)
    if (isDone) this.kept(open, event ? listOf(event.m) : [])
    else if (published?.x === 'KNOWN') this.known(published, open)
    else if (published) await this.rerouted(c, open)
  }

  private kept(
    open: readonly Slot[],
    stretches: readonly (readonly [number, Readonly<Record<string, number>>])[],
  ): void {
    let at = 0
    for (const [count, bases] of stretches) {
      const names = Object.keys(bases)
      for (let n = 0; n < count; n++) {
        const positions = Object.create(null)
        for (const name of names) {
          positions[name] = { epoch: this.log.streams.get(name)?.epoch ?? '', offset: (bases[name] as number) + n }
        }
        ;(open[at++] as Slot).answer = { duplicate: false, positions, queues: [] }
      }
    }
  }

  /** Some were published before: the others are sent again without them. */
  private known({ k }: OpResult, open: readonly Slot[]): void {
    const identified = open.filter(({ encoded }) => encoded.identity !== undefined)
    for (const [at, places] of listOf(k)) {
      const positions = Object.create(null)
      for (const [number, offset] of places) {
        const mirror = this.log.streamOf(number)
        if (mirror) positions[mirror.options.name] = { epoch: mirror.epoch, offset }
      }
      const slot = identified[at]
      if (slot) slot.answer = { duplicate: true, positions, queues: [] }
    }
  }

  /** They were routed by declarations that are not the latest. */
  private async rerouted(commit: number, open: readonly Slot[]): Promise<void> {
    await this.log.reached(commit)
    for (const slot of open) slot.answer = this.routed(slot.encoded.draft)
  }

  private async failed(error: unknown, work: TurnWork, open: readonly Slot[], needsRoom: boolean): Promise<void> {
    if (error instanceof SpaceGone) {
      await this.renew()
      for (const slot of open) slot.answer = this.routed(slot.encoded.draft)
      return
    }
    const known =
      error instanceof FanfareError
        ? error
        : new FanfareError('storage_failed', `The message could not be stored: ${sentence((error as Error).message)}`)
    this.logger.error({ err: error, code: known.code, waiting: work.open.length + open.length }, 'a commit failed')
    // What needs no room may still go.
    const onlyRoom = needsRoom && known.code !== 'outcome_unknown' && known.code !== 'cluster_unreachable'
    const stays = (frees: boolean) => onlyRoom && frees
    for (const task of work.open.filter(({ frees }) => !stays(frees))) work.answers.push(() => task.failed(known))
    work.open = work.open.filter(({ frees }) => stays(frees))
    for (const slot of open) if (!stays(!isKept(slot))) slot.answer = known
  }

  /** Redis has lost a turn that it had answered, and nobody has been told of it yet. */
  private lost({ slots, tasks }: TurnWork): void {
    const error = new FanfareError('outcome_unknown')
    for (const task of tasks) this.unexpected.run('broker', () => task.failed(error))
    for (const { encoded, answer } of slots) {
      const { draft } = encoded
      if (answer instanceof FanfareError) this.unexpected.run('broker', () => draft.refused(answer))
      else this.unexpected.run('broker', () => draft.unknown(error))
    }
  }

  private answerSlots({ slots, answers }: TurnWork): void {
    for (const slot of slots) {
      const { draft } = slot.encoded
      const answer = slot.answer ?? asDuplicate(slot.sameAs?.answer)
      if (!(answer instanceof FanfareError)) answers.push(() => draft.kept(answer as Kept))
      else if (answer.code === 'outcome_unknown') answers.push(() => draft.unknown(answer))
      else answers.push(() => draft.refused(answer))
    }
  }
}

const NO_RECORD = Buffer.alloc(0)

function isKept({ encoded: { draft } }: Slot): boolean {
  return draft.route.streams.length > 0 || draft.route.queues.length > 0
}

function asDuplicate(answer: Kept | FanfareError | undefined): Kept | FanfareError | undefined {
  return answer === undefined || answer instanceof FanfareError ? answer : { ...answer, duplicate: true }
}
