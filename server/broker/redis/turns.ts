import { setImmediate } from 'node:timers'
import { sentence } from '../../../shared/error-text.ts'
import { FanfareError } from '../../../shared/errors.ts'
import type { UnexpectedErrors } from '../../failure/unexpected-errors.ts'
import type { Draft } from '../broker.ts'
import type { FailedCommits } from '../failed-commits.ts'
import { followsFailed } from '../followers.ts'
import { listOf, type OpResult, type TurnAnswer, withBodies } from './answers.ts'
import type { CommitLog } from './commit-log.ts'
import { Gathered, TURN_PLACES } from './gathered.ts'
import { LinkLost } from './link.ts'
import { placed } from './placed-message.ts'
import type { PublishingAck, PublishOps } from './publish-op.ts'
import type { Figures } from './queue-mirror.ts'
import { type Publishing, TurnPublishes } from './turn-publishes.ts'
import { microsOf, settledBy, type Task } from './turn-tasks.ts'
import type { WaitingDrafts } from './waiting-drafts.ts'
import { type Op, SpaceGone, TakenForGone, type Writer } from './writer.ts'

/** What the tasks of a turn may cost Redis, in microseconds; unless one task costs more. */
const TASKS_MICROS = 2_200
/** Publishes that have waited for room, of one turn. */
const TURN_WAITED = 100

interface TurnWork {
  readonly tasks: readonly Task[]
  /** The tasks that have no answer yet. */
  open: Task[]
  readonly publishes: TurnPublishes
  /** What to do once the commit is applied, in order. */
  readonly answers: (() => void)[]
  commit: number
  /** Why it has failed, or a part of it. */
  error?: FanfareError
  /** It made no commit. It may still have changed queues and cursors. */
  isSilent: boolean
  /** How often Redis had lost what it had answered, when the first part of this turn was answered. */
  answeredAt: number | undefined
}

/**
 * Gathers what the hub brings while a turn is under way, and sends it as the next one. Answers come when the log has applied what they answer: every node
 * has its messages by then.
 */
export class Turns {
  private readonly writer: Writer
  private readonly ops: PublishOps
  private readonly log: CommitLog
  private readonly gathered: Gathered
  private readonly waiting: WaitingDrafts
  private readonly unexpected: UnexpectedErrors
  private readonly failures: FailedCommits
  /** The space is another one: makes it as it was, and gives what has to be declared again. */
  private readonly renew: () => Promise<void>
  /** A commit of this node is in Redis. */
  onCommit: (commit: number) => void = () => {}
  /** A turn has made no commit: nothing of it leaves this node before what it did is safe. `lost`: Redis has lost it. */
  onSilent: (answer: () => void, lost: () => void) => void = (answer) => answer()
  /** Queues have changed. Told before those who wait for what changed them. */
  onFigures: (figures: readonly Figures[]) => void = () => {}
  /** This process did not run for some milliseconds, and what was published meanwhile is refused. */
  onStandstill: (ms: number, refused: number) => void = () => {}
  /** Publishes and settlements that ended so. */
  unknownOutcomes = 0
  /** How often Redis has lost what it had answered and was not safe. */
  losses = 0
  private tasks: Task[] = []
  private owesPublishes = false
  /** Applies the last turn, and answers it: once the next one is on its way. */
  private unsettled: (() => void)[] = []
  private working: Promise<void> | undefined = undefined

  constructor(
    writer: Writer,
    ops: PublishOps,
    log: CommitLog,
    waiting: WaitingDrafts,
    renew: () => Promise<void>,
    unexpected: UnexpectedErrors,
    failures: FailedCommits,
  ) {
    this.writer = writer
    this.ops = ops
    this.log = log
    this.gathered = new Gathered(log, (stale, ms) => this.stoodStill(stale, ms))
    this.waiting = waiting
    this.renew = renew
    this.unexpected = unexpected
    this.failures = failures
  }

  publish(draft: Draft): void {
    this.gather(draft)
  }

  /** Ends a lease in the same step in which its drafts are published. */
  publishWith(ack: PublishingAck): void {
    this.gather(ack)
  }

  private gather(publishing: Publishing): void {
    this.gathered.add(publishing)
    this.work()
  }

  /** An owner of drafts has gone: what waits of it for room is refused. */
  withdraw(owner: object): void {
    const withdrawn = this.waiting.withdraw(owner)
    for (const draft of withdrawn) draft.refused(new FanfareError('connection_lost'))
    for (const number of this.waiting.queuesLeft(withdrawn)) this.pass(number)
    this.askWaiting()
  }

  /** This may be the turn of publishes that wait for a queue. */
  roomIn(queue: string): void {
    this.waiting.waiting.roomIn(queue)
    this.askWaiting()
  }

  /** A queue has other options or was deleted. */
  queueChanged(queue: string): void {
    this.waiting.waiting.changed(queue)
    this.askWaiting()
  }

  /** Nothing here waits for room in a queue: the next node in line may publish. */
  pass(queue: number): void {
    this.task({ name: 'qpass', args: [queue] }, { frees: true }).catch(() => {})
  }

  private askWaiting(): void {
    if (this.waiting.waiting.hasAsked) this.work()
  }

  /** Does an op in the next turn. A refusal of the op resolves, too. */
  task(op: Op, { declares = false, frees = false, settles = 0 } = {}): Promise<OpResult> {
    return new Promise((done, failed) => {
      this.tasks.push({ op, declares, frees, settles, done, failed })
      this.work()
    })
  }

  close(): void {
    this.gathered.close()
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
    while (this.hasWork) {
      try {
        await this.takeTurn()
      } catch (error) {
        this.unexpected.report('broker', error)
        await new Promise((resolve) => setImmediate(resolve))
      }
      if (!this.hasWork) this.settle()
    }
    this.working = undefined
  }

  private get hasWork(): boolean {
    return this.tasks.length > 0 || !this.gathered.isEmpty || this.waiting.waiting.hasAsked
  }

  private settle(): void {
    for (const each of this.unsettled.splice(0)) this.unexpected.run('broker', each)
  }

  /** What the log has applied when all that was answered is in it. */
  private async reached(commit: number): Promise<void> {
    this.settle()
    await this.log.reached(commit)
  }

  private async takeTurn(): Promise<void> {
    const tasks = this.owesPublishes ? [] : this.nextTasks()
    const declares = tasks.some((task) => task.declares)
    const publishes = new TurnPublishes(this.ops, this.log, this.waiting)
    // They get new routes after what is declared.
    if (!declares) {
      const micros = tasks.reduce((sum, task) => sum + microsOf(task), 0)
      const later = publishes.take(this.waiting.asked(TURN_WAITED, TURN_PLACES), this.gathered.next(micros))
      this.gathered.putBack(later)
    }
    this.owesPublishes = declares && !this.gathered.isEmpty
    const work: TurnWork = {
      tasks,
      open: tasks,
      publishes,
      answers: [],
      commit: this.log.applied,
      isSilent: false,
      answeredAt: undefined,
    }
    const operations = publishes.count + settledBy(tasks)
    const start = performance.now()
    await this.commit(work)
    work.answers.push(...publishes.answers())
    // A turn may take several calls: what the first ones did was lost before the last one.
    if (this.hasLost(work)) return this.lost(work)
    if (work.error) this.refuseFollowers(work, work.error)
    const seconds = (performance.now() - start) / 1000
    this.unsettled.push(() => {
      this.answerOnceApplied(work)
      this.log.events.committed({ seconds, operations })
    })
    // Drafts are routed by what the log has applied.
    if (declares) await this.reached(work.commit)
  }

  private hasLost({ answeredAt }: TurnWork): boolean {
    return answeredAt !== undefined && answeredAt !== this.losses
  }

  private answerOnceApplied(work: TurnWork): void {
    if (this.hasLost(work)) return this.lost(work)
    const answer = () => {
      for (const each of work.answers) this.unexpected.run('broker', each)
    }
    const lost = () => this.lost(work)
    this.log.after(work.commit, () => (work.isSilent ? this.onSilent(answer, lost) : answer()), lost)
  }

  private nextTasks(): Task[] {
    let micros = 0
    let count = 0
    for (; count < this.tasks.length; count++) {
      micros += microsOf(this.tasks[count] as Task)
      if (count > 0 && micros > TASKS_MICROS) break
    }
    return this.tasks.splice(0, count)
  }

  /** Sends until everything has an answer. */
  private async commit(work: TurnWork): Promise<void> {
    for (;;) {
      const publish = work.publishes.next()
      if (work.open.length === 0 && !publish) return
      const ops = work.open.map(({ op }) => op)
      if (publish) ops.push(publish)
      const needsRoom = work.open.some(({ frees }) => !frees) || work.publishes.needsRoom
      let answer: TurnAnswer
      try {
        const answered = this.writer.turn(ops, needsRoom)
        // It is on its way by then.
        if (this.unsettled.length > 0) setImmediate(() => this.settle())
        answer = await answered
      } catch (error) {
        await this.failed(error, work, needsRoom)
        continue
      }
      this.failures.succeeded(needsRoom)
      await this.answered(answer, work, publish !== undefined)
    }
  }

  private async answered({ e: event, r, q, c, leased }: TurnAnswer, work: TurnWork, publishes: boolean): Promise<void> {
    const results = listOf<OpResult>(r)
    work.commit = c
    work.answeredAt ??= this.losses
    work.isSilent = !event
    if (q) work.answers.push(() => this.onFigures(listOf(q)))
    for (const [at, task] of work.open.entries()) {
      const result = results[at] ?? {}
      work.answers.push(() => (result.x === 'FAILED' ? task.failed(failed()) : task.done(withBodies(result, leased))))
    }
    const published = publishes ? results[work.open.length] : undefined
    work.open = []
    const isDone = published !== undefined && published.x === undefined
    if (event) {
      // A part of it may have failed after its messages were stored.
      const parts = isDone || listOf(event.m).length > 0 ? work.publishes.sent : []
      this.unsettled.push(() => {
        if (!this.hasLost(work)) this.log.own(event, parts.length > 0 ? placed(event, parts) : [])
      })
    }
    this.onCommit(c)
    if (isDone) work.publishes.done(event)
    else if (published) await this.refused(published, work)
  }

  /** Nothing was published: some cannot be, and the others are sent again. */
  private async refused(published: OpResult, work: TurnWork): Promise<void> {
    const { publishes } = work
    if (published.x === 'KNOWN') publishes.known(published)
    else if (published.x === 'FAILED') this.refuse(failed(), work, false)
    else if (published.x === 'DAMAGED') publishes.damaged(published)
    else if (published.x === 'LOST') publishes.lost(published)
    else if (published.x === 'ROOM') publishes.noRoom(published)
    else {
      await this.reached(work.commit)
      publishes.rerouted()
    }
  }

  private async failed(error: unknown, work: TurnWork, needsRoom: boolean): Promise<void> {
    if (error instanceof TakenForGone) return this.refusePublishes(error, work)
    if (!(error instanceof SpaceGone)) return this.refuse(error, work, needsRoom)
    try {
      await this.renew()
    } catch (cause) {
      // The next attempt waits for the link, and finds the space gone once more.
      if (cause instanceof LinkLost || cause instanceof SpaceGone) return
      return this.refuse(cause, work, needsRoom)
    }
    work.publishes.rerouted()
  }

  /** What this hub has gathered was published before it was taken for gone: by clients that may have published more at another hub since. */
  private refusePublishes(error: FanfareError, { publishes, answers }: TurnWork): void {
    const gathered = this.gathered.takeAll()
    this.failures.failed(error, error, publishes.count + gathered.length)
    publishes.failed(error, false)
    answers.push(() => this.refuseAll(gathered, error))
  }

  /** `ms`: how long this process did not run. */
  private stoodStill(stale: readonly Publishing[], ms: number): void {
    this.onStandstill(ms, stale.length)
    if (stale.length === 0) return
    const error = new FanfareError('cluster_unreachable', STOOD_STILL)
    this.failures.failed(error, error, stale.length)
    this.refuseAll(stale, error)
  }

  private refuseAll(all: readonly Publishing[], error: FanfareError): void {
    for (const each of all) this.unexpected.run('broker', () => each.refused(error))
  }

  private refuseFollowers({ publishes, answers }: TurnWork, error: FanfareError): void {
    const refusal = followsFailed(error)
    for (const draft of this.gathered.takeFollowers(publishes.hasFailed)) answers.push(() => draft.refused(refusal))
  }

  private refuse(error: unknown, work: TurnWork, needsRoom: boolean): void {
    const known =
      error instanceof FanfareError
        ? error
        : new FanfareError('storage_failed', `The message could not be stored: ${sentence((error as Error).message)}`)
    const waiting = work.open.length + work.publishes.count
    if (known.code === 'outcome_unknown') this.unknownOutcomes += work.publishes.openCount + settledBy(work.open)
    this.failures.failed(error, known, waiting)
    work.error = known
    // What needs no room may still go.
    const onlyRoom = needsRoom && known.code !== 'outcome_unknown' && known.code !== 'cluster_unreachable'
    const stays = (frees: boolean) => onlyRoom && frees
    for (const task of work.open.filter(({ frees }) => !stays(frees))) work.answers.push(() => task.failed(known))
    work.open = work.open.filter(({ frees }) => stays(frees))
    work.publishes.failed(known, onlyRoom)
  }

  /** Redis has lost a turn that it had answered, before its outcome was reported to anyone. */
  private lost({ publishes, tasks }: TurnWork): void {
    const error = new FanfareError('outcome_unknown')
    for (const task of tasks) this.unexpected.run('broker', () => task.failed(error))
    const answers = publishes.lostAnswers(error)
    this.unknownOutcomes += answers.length + settledBy(tasks)
    for (const answer of answers) this.unexpected.run('broker', answer)
  }
}

const STOOD_STILL = 'This hub stood still for some seconds. Nothing was stored; try again.'

/** Something is damaged in Redis, and what an op had done until it met that is not undone. */
function failed(): FanfareError {
  return new FanfareError('outcome_unknown')
}
