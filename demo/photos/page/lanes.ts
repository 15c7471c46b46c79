import type { Client, ConnectionState, SlowPolicy } from 'fanfare/browser'
import { connectAs, type PageTopics, TAB } from './hub.ts'
import { changed } from './store.ts'

/** A subscriber in the race: it reads the same messages as the others, on a connection of its own. */
export interface Lane {
  readonly policy: SlowPolicy
  readonly title: string
  /** What the hub does, in one sentence. */
  readonly rule: string
  readonly slow: boolean
  /** `off`: it has not been connected; `over`: it was, and was disconnected by the button. */
  state: ConnectionState | 'off' | 'over'
  received: number
  /** Numbers of the first message that it read, and of the newest. */
  first: number
  latest: number
  /** How far it has got: what it has read, and what the hub has reported as dropped. */
  reached: number
  /** Dropped messages, by the hub's reason; 0 if the hub gave no number. */
  gaps: Map<string, number>
  disconnects: number
  /** Why the hub refused it. */
  refusal: string | undefined
}

const UNREAD = { received: 0, first: 0, latest: 0, reached: 0, disconnects: 0, refusal: undefined }

/** Messages that may wait in a slow reader before the hub has to hold back: few, so that its policy soon acts. */
const BUFFER = 10

export const lanes: readonly Lane[] = [
  // On a busy machine this page is a slow reader, too. With any other policy this one might then lose messages.
  lane(
    'pause',
    'A fast reader',
    'Reads each message at once, with the policy pause. It shows all there is to read.',
    false,
  ),
  lane('drop-oldest', 'drop-oldest', 'The oldest waiting messages are dropped: the reader stays close to the newest.'),
  lane('drop-newest', 'drop-newest', 'New messages are dropped while older ones wait: the reader falls behind.'),
  lane(
    'conflate',
    'conflate',
    'Only the newest message per topic and key waits: the reader jumps to the latest value.',
  ),
  lane(
    'pause',
    'pause',
    'The hub stops sending, then continues from the stream at the reader’s pace: late, but complete.',
  ),
  lane(
    'disconnect',
    'disconnect',
    'The hub closes the connection. The reader reconnects, and knows that it missed some.',
  ),
]

/** How long a slow reader takes for each message, in milliseconds. */
export const pace = { ms: 20 }

let clients: Client<PageTopics>[] = []

/** Connects all of them, and resolves when each receives messages. */
export async function startLanes(): Promise<void> {
  await stopLanes()
  await Promise.all(lanes.map(start))
}

export async function stopLanes(): Promise<void> {
  const before = clients
  clients = []
  await Promise.all(before.map((client) => client.close()))
  for (const lane of lanes) if (lane.state !== 'off') lane.state = 'over'
  changed()
}

async function start(lane: Lane): Promise<void> {
  Object.assign(lane, { ...UNREAD, gaps: new Map() })
  const client = connectAs(`${TAB}-${lane.slow ? lane.policy : 'fast'}`)
  clients.push(client)
  lane.state = client.state
  client.onState(({ from, to }) => {
    lane.state = to
    if (from === 'connected' && to === 'waiting') lane.disconnects++
    changed()
  })
  const read = ({ data }: { data: { n: number } }) => {
    if (lane.received++ === 0) lane.first = data.n
    lane.latest = lane.reached = data.n
    changed()
    if (lane.slow && pace.ms > 0) return new Promise<void>((resolve) => setTimeout(resolve, pace.ms))
  }
  const subscription = client.subscribe('stage.ticks', read, {
    policy: lane.policy,
    ...(lane.slow && { bufferLimit: BUFFER }),
    ...(lane.policy === 'pause' && { stream: 'ticks' }),
    onGap: ({ reason, count }) => {
      // Nothing counts while a connection is down; the next message shows how far it has come.
      lane.gaps.set(reason, (lane.gaps.get(reason) ?? 0) + (count ?? 0))
      lane.reached += count ?? 0
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

/** How many messages a lane has read, has not reached yet, and was not given. The messages are numbered. */
export function standing(lane: Lane): { read: number; behind: number; dropped: number } {
  if (lane.received === 0) return { read: 0, behind: 0, dropped: 0 }
  const newest = Math.max(...lanes.map(({ reached }) => reached))
  return {
    read: lane.received,
    behind: Math.max(0, newest - lane.reached),
    dropped: Math.max(0, lane.reached - lane.first + 1 - lane.received),
  }
}

function lane(policy: SlowPolicy, title: string, rule: string, slow = true): Lane {
  return { policy, title, rule, slow, state: 'off', ...UNREAD, gaps: new Map() }
}
