import type { Logger } from 'pino'
import { FanfareError } from '../../shared/errors.ts'
import type { Access } from '../auth/access.ts'

/** Who asks for a method, and from where. */
export interface Caller {
  readonly access: Access
  readonly address: string
  /** The id of the connection, if it is one. */
  readonly connection?: string
}

/** Reports that an act has changed something, and how much it touched. */
export type Changed = (touched?: Readonly<Record<string, number>>) => void

/** Lines per second: of acts that were done, and of those that were refused, which any client can ask for. */
const DONE_PER_SECOND = 100
const REFUSED_PER_SECOND = 10

/** What is shown of parameters: of a text this many characters, of a list or an object this many members, this many levels. */
const MOST_CHARACTERS = 200
const MOST_MEMBERS = 10
const MOST_LEVELS = 4

/**
 * Writes to the hub's log what operators did: who, from where, what, and how much of it. A refusal has a line too. Lines are bounded per
 * second, separately, so that refused acts cannot hide those that were done; `unlogged` counts what had no line.
 */
export class OperatorLog {
  private readonly log: Logger
  private readonly done = new LineRate(DONE_PER_SECOND)
  private readonly refused = new LineRate(REFUSED_PER_SECOND)

  constructor(log: Logger) {
    this.log = log
  }

  /** Runs an act, and logs it once it has changed something or has been refused. An act that changed nothing has no line. */
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
      // A log that cannot be written must not turn an act that was done into one that failed.
    }
  }
}

/** Bounds lines per second, and counts those left out. */
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

  /** Those left out since the last line that asked. */
  unlogged(): { unlogged?: number } {
    const unlogged = this.leftOut
    this.leftOut = 0
    return unlogged > 0 ? { unlogged } : {}
  }
}

/** A token may have any subject: a client without one is marked, and not named. */
function aboutOf(method: string, params: unknown, { access, address, connection }: Caller): object {
  const who = access.anonymous ? { anonymous: true } : { subject: brief(access.subject) }
  return { ...who, address, ...(connection !== undefined && { connection }), method, params: brief(params) }
}

/** Parameters as far as a line has room for them: a refused call has any. */
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
