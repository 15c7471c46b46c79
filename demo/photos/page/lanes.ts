import type { Client, Policy, State } from 'fanfare/browser'
import { connectAs, type PageTopics, TAB } from './hub.ts'
import { changed } from './store.ts'

/** A subscriber of the race: it reads the same messages as the others, on a connection of its own. */
export interface Lane {
  readonly policy: Policy
  readonly title: string
  /** What the hub does, in one sentence. */
  readonly rule: string
  readonly slow: boolean
  state: State | 'off'
  received: number
  /** The newest message that it has read. */
  latest: number
  /** Messages left out, by reason. */
  gaps: Map<string, number>
  disconnects: number
  /** Why the hub did not let it take part. */
  refusal: string | undefined
}

/** Messages that may wait in the page before the hub is asked to hold back. Few, so that one need not wait long to see it. */
const BUFFER = 10

export const lanes: readonly Lane[] = [
  lane('drop-oldest', 'A fast reader', 'It reads at once, so nothing waits and no policy ever acts.', false),
  lane(
    'drop-oldest',
    'drop-oldest',
    'When the outbox is full the oldest waiting messages go: it stays near the newest.',
  ),
  lane('drop-newest', 'drop-newest', 'When the outbox is full new messages are left out: it reads the old ones first.'),
  lane(
    'conflate',
    'conflate',
    'Only the newest message of each topic and key waits: it jumps ahead, to what is true now.',
  ),
  lane(
    'pause',
    'pause',
    'The log keeps what it cannot take yet, and feeds it at its own speed: late, but nothing is missing.',
  ),
  lane(
    'disconnect',
    'disconnect',
    'When the outbox is full the hub hangs up: it has to connect again, and knows that it missed some.',
  ),
]

/** How long a slow reader takes for each message, in milliseconds. */
export const pace = { ms: 20 }

let clients: Client<PageTopics>[] = []

/** Connects all of them, and resolves when each gets messages. */
export async function startLanes(): Promise<void> {
  await stopLanes()
  await Promise.all(lanes.map(start))
}

export async function stopLanes(): Promise<void> {
  const before = clients
  clients = []
  await Promise.all(before.map((client) => client.close()))
  for (const lane of lanes) lane.state = 'off'
  changed()
}

async function start(lane: Lane): Promise<void> {
  Object.assign(lane, { received: 0, latest: 0, gaps: new Map(), disconnects: 0, refusal: undefined })
  const client = connectAs(`${TAB}-${lane.slow ? lane.policy : 'fast'}`)
  clients.push(client)
  lane.state = client.state
  client.onState(({ from, to }) => {
    lane.state = to
    if (from === 'connected' && to === 'waiting') lane.disconnects++
    changed()
  })
  const read = ({ data }: { data: { n: number } }) => {
    lane.received++
    lane.latest = data.n
    changed()
    if (lane.slow && pace.ms > 0) return new Promise<void>((resolve) => setTimeout(resolve, pace.ms))
  }
  const subscription = client.subscribe('stage.ticks', read, {
    policy: lane.policy,
    bufferLimit: BUFFER,
    ...(lane.policy === 'pause' && { stream: 'ticks' }),
    onGap: ({ reason, count }) => {
      // Nobody counts while a connection is cut.
      lane.gaps.set(reason, (lane.gaps.get(reason) ?? 0) + (count ?? 0))
      changed()
    },
  })
  try {
    await subscription.ready
  } catch (error) {
    lane.refusal = error instanceof Error ? error.message : String(error)
    changed()
  }
}

function lane(policy: Policy, title: string, rule: string, slow = true): Lane {
  return {
    policy,
    title,
    rule,
    slow,
    state: 'off',
    received: 0,
    latest: 0,
    gaps: new Map(),
    disconnects: 0,
    refusal: undefined,
  }
}
