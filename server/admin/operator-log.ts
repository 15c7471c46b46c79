import type { Logger } from 'pino'
import { FanfareError } from '../../shared/errors.ts'
import type { Access } from '../auth/access.ts'

/** The client that calls a method. */
export interface Caller {
  readonly access: Access
  readonly address: string
  /** The id of its connection, if it has one. */
  readonly connection?: string
}

/** Reports that an act has changed something, and how many items it affected. */
export type Changed = (touched?: Readonly<Record<string, number>>) => void

/** Lines per second for completed acts, and separately for refused ones, which any client can cause. */
const DONE_PER_SECOND = 100
const REFUSED_PER_SECOND = 10

/** Limits of the logged parameters: characters per text, members per list or object, and levels. */
const MOST_CHARACTERS = 200
const MOST_MEMBERS = 10
const MOST_LEVELS = 4

/**
 * Logs operators' acts: who, from where, what, and how many items. Refusals are logged too. Lines per second are limited
 * separately, so that refused acts cannot hide completed ones; `unlogged` counts the lines that were left out.
 */
export class OperatorLog {
  private readonly log: Logger
  private readonly done = new LineRate(DONE_PER_SECOND)
  private readonly refused = new LineRate(REFUSED_PER_SECOND)

  constructor(log: Logger) {
    this.log = log
  }

  /** Runs an act, and logs it once it has changed something or was refused. An act that changed nothing is not logged. */
  async watch<Result>(
    method: string,
    params: unknown,
    caller: Caller,
    run: (changed: Changed) => Promise<Result>,
  ): Promise<Result> {
    let touched: Readonly<Record<string, number>> | undefined
    try {
      const result = await run((what = {}) => {
        touched = what
      })
      if (touched && this.done.take()) {
        this.write('info', 'operator act', { ...aboutOf(method, params, caller), ...touched, ...this.done.unlogged() })
      }
      return result
    } catch (error) {
      if (this.refused.take()) {
        const known =
          error instanceof FanfareError ? { code: error.code, reason: brief(error.message) } : { code: 'call_failed' }
        const about = { ...aboutOf(method, params, caller), ...known, ...this.refused.unlogged() }
        this.write('warn', 'operator act refused', about)
      }
      throw error
    }
  }

  private write(level: 'info' | 'warn', text: string, about: object): void {
    try {
      this.log[level](about, text)
    } catch {
      // A log that cannot be written must not turn a completed act into a failed one.
    }
  }
}

/** Limits lines per second, and counts those left out. */
class LineRate {
  private readonly perSecond: number
  private second = 0
  private lines = 0
  private leftOut = 0

  constructor(perSecond: number) {
    this.perSecond = perSecond
  }

  take(): boolean {
    const second = Math.floor(performance.now() / 1000)
    if (second !== this.second) this.lines = 0
    this.second = second
    if (this.lines++ < this.perSecond) return true
    this.leftOut++
    return false
  }

  /** The number of lines left out since the last call. */
  unlogged(): { unlogged?: number } {
    const unlogged = this.leftOut
    this.leftOut = 0
    return unlogged > 0 ? { unlogged } : {}
  }
}

/** Anonymous clients are marked rather than named, because a token may have any subject. */
function aboutOf(method: string, params: unknown, { access, address, connection }: Caller): object {
  const who = access.anonymous ? { anonymous: true } : { subject: brief(access.subject) }
  return { ...who, address, ...(connection !== undefined && { connection }), method, params: brief(params) }
}

/** Parameters cut to the limits of a line: those of a refused call can be of any size. */
function brief(value: unknown, level = 0): unknown {
  if (typeof value === 'string') return cut(value)
  if (typeof value !== 'object' || value === null) return value
  if (level === MOST_LEVELS) return '…'
  if (Array.isArray(value)) {
    const shown = value.slice(0, MOST_MEMBERS).map((each) => brief(each, level + 1))
    return value.length > MOST_MEMBERS ? [...shown, `and ${value.length - MOST_MEMBERS} more`] : shown
  }
  const members = Object.entries(value)
  const shown = members.slice(0, MOST_MEMBERS).map(([name, each]) => [cut(name), brief(each, level + 1)])
  return Object.fromEntries(members.length > MOST_MEMBERS ? [...shown, ['…', members.length - MOST_MEMBERS]] : shown)
}

function cut(text: string): string {
  return text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text
}
