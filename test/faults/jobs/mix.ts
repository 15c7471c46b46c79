export type Random = () => number

export type Step = readonly [kind: string, ms: number]

/** What a round consists of: made from a seed. */
export interface Mix {
  readonly queue: { readonly maxAttempts: number; readonly ackDeadline: number }
  readonly jobs: readonly { readonly key: string | undefined; readonly plan: readonly Step[] }[]
  readonly workers: readonly WorkerOptions[]
  readonly events: readonly { readonly kind: Event; readonly atMs: number; readonly which: number }[]
}

export interface WorkerOptions {
  readonly kind: 'handler' | 'loop' | 'foreign'
  readonly concurrency: number
  readonly prefetch: number
  readonly maxRunTime: number
}

/** `cut`: its connection. `deploy`: it closes its client in good order, and another one comes. `kill`: without a word. */
export type Event = 'cut' | 'deploy' | 'kill'

export function mixOf(random: Random, processes: boolean): Mix {
  const upTo = (most: number) => Math.floor(random() * (most + 1))
  const pick = <Thing>(...things: readonly Thing[]) => things[upTo(things.length - 1)] as Thing
  const ackDeadline = 250 + upTo(350)
  // What blocks here blocks the hub too, if that is not another process.
  const longest = processes ? 1.5 * ackDeadline : 30
  const good = (): Step =>
    random() < 0.5 ? ['block', upTo(random() < 0.1 ? longest : 5)] : ['wait', upTo(pick(3, 60, 2 * ackDeadline))]
  const bad = (): Step => [pick('throw', 'throw later', 'throw', 'die', 'die later', 'hang', 'reject'), upTo(50)]
  const jobs = Array.from({ length: 15 + upTo(35) }, () => {
    const trouble = Array.from({ length: random() < 0.25 ? 1 + upTo(2) : 0 }, bad)
    const plan = random() < 0.04 ? [bad()] : [...trouble, good()]
    return { key: random() < 0.2 ? `k${upTo(3)}` : undefined, plan }
  })
  const workers = Array.from({ length: 1 + upTo(2) }, (): WorkerOptions => {
    const concurrency = pick(1, 1, 2, 4)
    return {
      kind: processes ? 'handler' : pick('handler', 'handler', 'loop', 'foreign'),
      concurrency,
      prefetch: Math.max(concurrency, pick(1, 4, 16, 32)),
      maxRunTime: 2.5 * ackDeadline,
    }
  })
  const events = Array.from({ length: upTo(3) }, () => {
    return { kind: pick<Event>('cut', 'deploy', 'kill'), atMs: upTo(600), which: upTo(workers.length - 1) }
  })
  return { queue: { maxAttempts: 1 + upTo(4), ackDeadline }, jobs, workers, events }
}
