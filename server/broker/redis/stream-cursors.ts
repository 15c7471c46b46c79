import { FORBIDDEN_KEY } from '../../../shared/forbidden-keys.ts'
import type { CursorInfo, Position } from '../../../shared/streams.ts'
import type { CursorRange } from '../broker.ts'
import { noCursor, tooManyCursors } from '../rules/cursors.ts'
import type { Keys } from './keys.ts'
import { CURSOR } from './lua/reads.ts'
import type { StreamMirror } from './stream-mirror.ts'
import type { StreamReads } from './stream-reads.ts'
import type { Turns } from './turns.ts'

/** How many cursors a stream has at most, and how long an unused one is safe from making room for another. */
export interface CursorLimits {
  readonly max: number
  readonly idleMs: number
}

/** A cursor that is asked for and not moved is marked as used when its mark is older than this. */
const MARK_MS = 86_400_000

/** The named positions of streams. */
export class StreamCursors {
  private readonly turns: Turns
  private readonly reads: StreamReads
  private readonly keys: Keys
  private readonly limits: CursorLimits

  constructor(turns: Turns, reads: StreamReads, keys: Keys, limits: CursorLimits) {
    this.turns = turns
    this.reads = reads
    this.keys = keys
    this.limits = limits
  }

  async get({ number, epoch }: StreamMirror, name: string): Promise<Position | undefined> {
    const found = (await this.reads.run(CURSOR, number, name, MARK_MS)) as [Buffer, number] | null
    if (!found) return undefined
    // Its failure has been logged, and costs nothing but the mark.
    if (found[1] === 1) this.turns.task({ name: 'markCursor', args: [number, name] }, { frees: true }).catch(() => {})
    return { epoch, offset: Number(found[0]) }
  }

  async page(mirror: StreamMirror, { after = '', prefix = '', limit }: CursorRange): Promise<CursorInfo[]> {
    if (mirror.cursorCount === 0) return []
    const found = (await this.reads.ask('HGETALL', this.keys.cursors(mirror.number))) as
      | string[]
      | Record<string, string>
    const pairs = Array.isArray(found)
      ? found.flatMap((name, at): [string, string][] => (at % 2 === 0 ? [[name, found[at + 1] as string]] : []))
      : Object.entries(found)
    return pairs
      .filter(([name]) => name > after && name.startsWith(prefix))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .slice(0, limit)
      .map(([name, value]) => cursorInfo(mirror, name, value))
  }

  async set({ number, options }: StreamMirror, name: string, offset: number): Promise<void> {
    const { max, idleMs } = this.limits
    const { x } = await this.turns.task({ name: 'setCursor', args: [number, name, offset, max, idleMs] })
    if (x === 'LIMIT') throw tooManyCursors(options.name, max)
  }

  async delete({ number, options }: StreamMirror, name: string): Promise<void> {
    const { x } = await this.turns.task({ name: 'deleteCursor', args: [number, name] }, { frees: true })
    if (x === 'NONE') throw noCursor(options.name, name)
  }
}

function cursorInfo({ epoch }: StreamMirror, name: string, value: string): CursorInfo {
  const [offset, usedAt] = value.split(':').map(Number) as [number, number]
  return { name, epoch, offset, usedAt }
}

/** Cursors as the status of a stream shows them. */
export function shownCursors(cursors: readonly CursorInfo[]): Record<string, Position> {
  const shown: Record<string, Position> = Object.create(null)
  for (const { name, epoch, offset } of cursors) if (name !== FORBIDDEN_KEY) shown[name] = { epoch, offset }
  return shown
}
