import type { FanfareError } from '../../shared/fanfare-error.ts'
import { codeOf, wordsOf } from './promises.ts'

/** What subscriptions, consumers and responders have in common. */
interface Standing {
  readonly ready: Promise<void>
  readonly ended: Promise<void>
}

/** Something that the model says stands at the hub, from its call until its owner ends it or a documented refusal does. */
export class Held {
  readonly what: string
  /** Its pattern or queue. */
  readonly name: string
  /** Of a pattern: one that it matches. */
  readonly topic: string
  wasReady = false
  endedByOwner = false
  /** Undefined while it stands. */
  end: 'owner' | { readonly error: unknown } | undefined
  /** It was told that it ended otherwise. */
  told = 0
  /** The last probe that reached it. */
  heard = 0
  private readonly standing: Standing
  private readonly stop: () => unknown
  private readonly refusals: readonly string[]

  /** `refusals`: codes that may end it where it has never been ready. */
  constructor(
    what: string,
    name: string,
    topic: string,
    refusals: readonly string[],
    standing: Standing,
    stop: () => unknown,
  ) {
    this.what = what
    this.name = name
    this.topic = topic
    this.refusals = refusals
    this.standing = standing
    this.stop = stop
    standing.ready.then(
      () => {
        this.wasReady = true
      },
      () => {},
    )
    standing.ended.then(
      () => {
        this.end = 'owner'
      },
      (error: unknown) => {
        this.end = { error }
      },
    )
  }

  get stands(): boolean {
    return !this.endedByOwner && this.end === undefined
  }

  /** Its owner ends it, unless something else has. */
  async close(): Promise<void> {
    if (this.stands) this.endedByOwner = true
    await this.stop()
    if (this.endedByOwner) await this.standing.ended
  }

  onError = (_error: unknown, of?: unknown): void => {
    if (of === undefined) this.told++
  }

  /** What is wrong with how it ended, if it has. */
  get fault(): string | undefined {
    const { end, endedByOwner, what, name } = this
    const title = `${what} ${name}`
    if (end === undefined) return endedByOwner ? `${title}: its owner ended it, and "ended" is pending` : undefined
    if (end === 'owner') return endedByOwner ? undefined : `${title} ended, and no one asked for it`
    const code = codeOf(end.error) as FanfareError['code'] | undefined
    if (code === undefined || !this.refusals.includes(code)) return `${title} ended by ${wordsOf(end.error)}`
    if (this.wasReady) return `${title} ended by ${code}, which may pass`
    return this.told === 1 ? undefined : `${title} ended by ${code}, which was told ${this.told} times`
  }
}
