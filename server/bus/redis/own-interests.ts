import { matchesPattern } from '../../../shared/topic.ts'
import type { TopicsSince } from './topic-record.ts'

interface Interest {
  count: number
  /** The version of all interests that it came with. */
  readonly version: number
  /** While the other nodes do not know of it yet. */
  stands: Promise<void> | undefined
}

interface Waiting {
  readonly version: number
  resolve(): void
}

/** What this node has an interest in: counted by pattern, with a version for each time that something changed. */
export class OwnInterests {
  version = 0
  private readonly byName = new Map<string, Interest>()
  private changes: string[] = []
  /** In the order of their versions. */
  private waiting: Waiting[] = []

  get names(): string[] {
    return [...this.byName.keys()]
  }

  /** Takes an interest. `waits`: other nodes have to hear of it. */
  add(name: string, waits: boolean): Promise<void> | undefined {
    const known = this.byName.get(name)
    if (known) {
      known.count++
      return known.stands
    }
    const version = this.change(`+${name}`)
    const interest: Interest = { count: 1, version, stands: undefined }
    this.byName.set(name, interest)
    if (!waits) return undefined
    interest.stands = new Promise<void>((resolve) => this.waiting.push({ version, resolve })).then(() => {
      interest.stands = undefined
    })
    return interest.stands
  }

  /** Whether the interest has ended. */
  remove(name: string): boolean {
    const interest = this.byName.get(name)
    if (!interest || --interest.count > 0) return false
    this.byName.delete(name)
    this.change(`-${name}`)
    return true
  }

  /** What has changed since the last call, and the version that it leads to. All of one turn have one version. */
  takeChanges(): readonly string[] {
    const { changes } = this
    this.changes = []
    return changes
  }

  /** All nodes that are there know this version. */
  known(version: number): void {
    for (let next = this.waiting[0]; next && next.version <= version; next = this.waiting[0]) {
      this.waiting.shift()
      next.resolve()
    }
  }

  /** What a loss concerns: see `Account` in `packets.ts`. */
  concernedBy(lost: TopicsSince, applied: number, unproven: TopicsSince): (pattern: readonly string[]) => boolean {
    const matches = matcher(lost)
    const mayMatch = matcher(unproven)
    return (pattern) => {
      const isNewer = (this.byName.get(pattern.join('.'))?.version ?? 0) > applied
      return matches(pattern) || (isNewer && mayMatch(pattern))
    }
  }

  private change(change: string): number {
    if (this.changes.length === 0) this.version++
    this.changes.push(change)
    return this.version
  }
}

function matcher(topics: TopicsSince): (pattern: readonly string[]) => boolean {
  if (topics === 'all') return () => true
  const all = topics.map((topic) => topic.split('.'))
  return (pattern) => all.some((words) => matchesPattern(pattern, words))
}
