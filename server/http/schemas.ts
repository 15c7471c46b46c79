import { z } from 'zod'
import { POLICIES } from '../../shared/frames.ts'
import type { JsonMessage, StreamPage } from '../../shared/json-message.ts'
import type { DeadLetter, QueueInfo, QueuesFound as QueuesFoundAnswer } from '../../shared/queues.ts'
import type { CursorPage } from '../../shared/streams.ts'
import type {
  Attention as AttentionAnswer,
  ConnectionsEnded,
  ConnectionsFound as ConnectionsFoundAnswer,
  ConnectionsPage,
  History as HistoryAnswer,
  HubInfo,
  NodesStatus,
  StreamStatus,
  StreamsFound as StreamsFoundAnswer,
  TopicsFound as TopicsFoundAnswer,
  TopicsStatus,
} from '../../shared/sys.ts'
import type * as Whoami from '../../shared/whoami.ts'

/** Responses of the API. Each schema has its name in the OpenAPI document. */

const whole = z.int().nonnegative()
const text = z.string()
const time = whole.describe('Milliseconds since 1970')
const headers = z.record(text, text)
const position = z.object({ epoch: text, offset: whole })

export const Problem = z
  .object({
    type: text,
    title: text,
    status: whole,
    detail: text.describe('What was wrong, and what to do'),
    code: text.describe('An error code, see docs/reference/error-codes.md'),
    retry: z.boolean().describe('Whether the same request may succeed later'),
  })
  .meta({ id: 'Problem', description: 'A refusal (RFC 9457)' })

/** As people write them in requests. */
export const Duration = z.union([z.number(), text])
export const Instant = z.union([z.int(), text]).describe('Milliseconds since 1970, or ISO 8601')

const published = {
  key: text.max(255).optional(),
  headers: headers.optional(),
  expiresAt: time.optional(),
}

/** A publish, checked by `parseFrame` of a publish frame. */
export const Publish = z
  .strictObject({
    topic: text,
    data: z.unknown().optional(),
    id: text.regex(/^[\w.:~-]{1,64}$/).optional(),
    key: published.key,
    headers: published.headers,
    expiresAt: Instant.optional(),
    priority: whole.max(9).optional().describe('Priority in queues, higher first; 4 by default'),
    delay: Duration.optional().describe('Delay in queues, such as 30s, or milliseconds'),
    deliverAt: Instant.optional(),
  })
  .meta({
    id: 'Publish',
    description: 'The fields of a publish frame, with delay instead of delayMs; unknown ones are refused',
  })

export const Receipt = z
  .object({
    id: text,
    positions: z.record(text, position).optional().describe('Positions in the streams that stored it'),
    queues: z.array(text).optional().describe('Queues that stored it'),
    duplicate: z.boolean().optional().describe('Whether a message with this id was published before'),
  })
  .meta({ id: 'Receipt' })

export const Message = z
  .object({
    id: text,
    topic: text,
    scope: text.optional().describe('In queues: distinguishes messages with the same id from different publishers'),
    offsets: z.record(text, whole).optional().describe('Offset in each stream that captured it'),
    publishedAt: time.optional(),
    ...published,
    data: z.unknown().optional(),
    base64: text.optional().describe('The data, if it is bytes'),
    json: text.optional().describe('The data as JSON text, if an earlier version stored it nested too deeply'),
  })
  .meta({ id: 'Message' })

export const Page = z
  .object({ epoch: text, from: whole, messages: z.array(Message), next: whole, end: z.boolean() })
  .meta({
    id: 'Page',
    description:
      'Messages of a stream; from is the start of the page, after messages that are no longer stored; next is the start of the next page; end is true on the last page',
  })

export const Stream = z
  .object({
    name: text,
    topics: z.array(text),
    maxAgeMs: whole,
    maxBytes: whole,
    maxMessages: whole.optional(),
    lastValue: z.boolean(),
    durability: z.enum(['disk', 'os']),
    epoch: text,
    first: whole.describe('Offset of the oldest stored message'),
    next: whole.describe('Offset of the next message'),
    messages: whole.describe('Number of readable messages'),
    bytes: whole,
    oldestAt: time.optional(),
    newestAt: time.optional(),
    cursorCount: whole,
    cursors: z.record(text, position).describe('The first 100 cursors by name; the path /cursors lists all'),
    publishedPerSecond: z.number(),
  })
  .meta({ id: 'Stream' })

export const Cursors = z
  .object({
    cursors: z.array(z.object({ name: text, epoch: text, offset: whole, usedAt: time.optional() })),
    end: z.boolean(),
  })
  .meta({ id: 'Cursors', description: 'Cursors in the order of their names; end is true on the last page' })

export const CursorNamed = z.object({ name: text, cursor: text }).meta({ id: 'CursorNamed' })

const binding = z.object({
  topic: text,
  match: z.union([z.object({ all: headers }), z.object({ any: headers })]).optional(),
})

export const Queue = z
  .object({
    name: text,
    bindings: z.array(binding),
    ackDeadlineMs: whole,
    maxAttempts: whole,
    backoffBaseMs: whole,
    backoffCapMs: whole,
    maxMessages: whole,
    maxBytes: whole,
    overflow: z.enum(['reject', 'drop-oldest', 'dead-letter', 'block']),
    onExpiry: z.enum(['drop', 'dead-letter']),
    onDeadLetter: z.enum(['continue', 'park']),
    maxDeadLetters: whole,
    depth: whole,
    ready: whole.describe('Waiting messages that are due'),
    delayed: whole,
    inFlight: whole,
    bytes: whole,
    waitingPublishes: whole,
    waitingPublishBytes: whole,
    oldestAgeMs: whole,
    readyAgeMs: whole.describe('Time since the oldest ready message became due'),
    publishedTotal: whole,
    ackedTotal: whole,
    redeliveredTotal: whole,
    timedOutTotal: whole.describe('Deliveries whose ack deadline passed'),
    droppedTotal: whole,
    deadLetters: whole,
    deadLettersDroppedTotal: whole.describe('Dead letters dropped because of maxDeadLetters'),
    parked: z.array(text).describe('Keys of the first hundred parked groups'),
    parkedMore: whole.describe('Number of further parked groups'),
    consumers: whole,
    publishedPerSecond: z.number(),
    ackedPerSecond: z.number(),
    wantedConsumers: whole,
    keepUpConsumers: whole,
    growing: z.boolean(),
  })
  .meta({ id: 'Queue' })

export const Letter = z
  .object({
    letter: whole.describe('Number of the dead letter in the queue'),
    message: Message,
    reason: z.enum(['attempts', 'rejected', 'expired', 'overflow']),
    error: text.optional(),
    attempts: whole,
    publishedAt: time,
    diedAt: time,
    origin: text,
  })
  .meta({ id: 'DeadLetter' })

const rate = z.number()
const cpu = z.number().describe('Part of one core')
const eventLoopDelayMs = z.number().describe('99th percentile of the last second')
const node = z.object({
  id: text.describe('New at each start'),
  name: text,
  address: text.optional().describe('Host and port that the node listens on'),
})

export const Hub = z
  .object({
    version: text,
    engine: text,
    node: node.describe('The node that answers'),
    nodes: whole.describe('Number of nodes included in the figures: 1 for a single hub'),
    startedAt: time,
    connections: whole,
    subscriptions: whole,
    streams: whole,
    queues: whole,
    topics: whole,
    publishedTotal: whole,
    publishedPerSecond: rate,
    deliveredTotal: whole,
    deliveredPerSecond: rate,
    bytesInPerSecond: rate,
    bytesOutPerSecond: rate,
    droppedTotal: z.record(text, whole).describe('Dropped messages, by the reason of their gaps'),
    droppedPerSecond: rate,
    outboxBytes: whole,
    outboxTotalBytes: whole,
    waitingPublishes: whole,
    waitingPublishBytes: whole,
    waitingPublishLimitBytes: whole,
    memoryBytes: whole,
    cpu,
    eventLoopDelayMs,
    unexpectedErrorsTotal: whole.describe('Bugs in the hub that cost a connection or a request'),
  })
  .meta({ id: 'Hub' })

const nodeStatus = node.extend({
  self: z.boolean().describe('Whether it is the node that answers'),
  ...z
    .object({
      version: text,
      startedAt: time,
      connections: whole,
      subscriptions: whole,
      publishedPerSecond: rate,
      deliveredPerSecond: rate,
      memoryBytes: whole,
      cpu,
      eventLoopDelayMs,
    })
    .partial().shape,
})

export const Nodes = z
  .object({
    cutOff: z.boolean().describe('The node that answers is cut off, so it knows only itself'),
    nodes: z.array(nodeStatus).describe('A node that does not answer in time has only id and name'),
  })
  .meta({ id: 'Nodes' })

const patterns = z.array(text)

export const WhoAmI = z
  .object({
    subject: text.optional().describe('Absent for anonymous clients'),
    roles: patterns,
    permissions: z
      .object({
        publish: patterns,
        subscribe: patterns,
        respond: patterns,
        consume: patterns,
        declare: patterns,
        admin: z.union([z.literal(true), patterns]),
      })
      .partial(),
    expiresAt: time.optional(),
  })
  .meta({ id: 'WhoAmI' })

const subscription = z.object({
  sub: whole,
  pattern: text,
  policy: z.enum(POLICIES),
  stream: text.optional(),
  paused: z.boolean(),
  behind: z.boolean(),
  droppedTotal: whole,
})

export const Connection = z
  .object({
    connection: text,
    number: whole.describe('Increases with each connection that opens'),
    node: node.describe('The hub that it is connected to'),
    client: text.optional(),
    address: text,
    subject: text.optional(),
    connectedAt: time,
    outboxBytes: whole,
    outboxLimitBytes: whole,
    lagMs: z.number(),
    deliveredTotal: whole,
    droppedTotal: whole,
    droppedAt: time.optional(),
    publishedTotal: whole,
    subscriptionCount: whole,
    subscriptions: z.array(subscription).describe('In lists only the first ten; the same for consumers'),
    consumerCount: whole,
    consumers: z.array(z.object({ queue: text, inFlight: whole, prefetch: whole })),
    endedAt: time.optional().describe('Present if the connection has ended; reason and code tell why'),
    reason: text.optional(),
    code: text.optional(),
  })
  .meta({ id: 'Connection' })

const coverage = {
  cutOff: z.boolean().describe('Whether the hub that answers is cut off from the others, and lists only its own'),
  unanswered: z.array(node).describe('Hubs that did not answer in time: the list lacks theirs'),
}

export const Connections = z.object({ count: whole, ...coverage, connections: z.array(Connection) })

const topic = z.object({ topic: text, publishedPerSecond: rate, publishedTotal: whole })

export const Topics = z
  .object({
    count: whole,
    busiest: z.array(topic),
  })
  .meta({ id: 'Topics' })

const found = { count: whole, matching: whole.describe('Number of items that match the filter') }
const recent = z.array(z.number()).optional().describe('Maximum of each five seconds in the last five minutes')

export const QueuesFound = z.object({ ...found, queues: z.array(Queue.extend({ history: recent })) })
export const StreamsFound = z.object({ ...found, streams: z.array(Stream.extend({ history: recent })) })
export const ConnectionsFound = z.object({ ...found, ...coverage, connections: z.array(Connection) })
export const TopicsFound = z.object({ ...found, ...coverage, topics: z.array(topic) })
export const Ended = z.object({ connections: z.array(Connection) })

const level = z.enum(['problem', 'warning'])
export const Attention = z
  .object({
    problems: whole,
    warnings: whole,
    entries: z.array(
      z.object({
        about: z.union([
          z.object({ kind: z.literal('hub') }),
          z.object({ kind: z.literal('queue'), name: text }),
          z.object({ kind: z.literal('connection'), connection: text, client: text.optional() }),
        ]),
        level,
        troubles: z.array(z.object({ level, kind: text, text })),
      }),
    ),
  })
  .meta({ id: 'Attention' })

export const History = z
  .object({
    times: z.array(z.number()).describe('Milliseconds since 1970'),
    figures: z.record(text, z.array(z.number())).describe('One value per time, by figure'),
    kept: z.boolean().describe('False if more queues or streams are busy than the hub keeps histories of'),
  })
  .meta({ id: 'History' })

export const Count = z.object({ count: whole })
export const LetterCount = z.object({
  count: whole,
  through: whole.optional().describe('The highest number of the counted dead letters'),
})
export const Named = z.object({ name: text })

// If a response does not match its documentation, this does not compile.
type Frozen<Value> = Value extends object ? { readonly [Name in keyof Value]: Frozen<Value[Name]> } : Value
type Fits<Schema extends z.ZodType, Answer extends Frozen<z.input<Schema>>> = Answer
export type Answers = [
  Fits<typeof Message, JsonMessage>,
  Fits<typeof Page, StreamPage>,
  Fits<typeof Stream, StreamStatus>,
  Fits<typeof Cursors, CursorPage>,
  Fits<typeof Queue, QueueInfo>,
  Fits<typeof Letter, DeadLetter>,
  Fits<typeof Hub, HubInfo>,
  Fits<typeof Nodes, NodesStatus>,
  Fits<typeof Connections, ConnectionsPage>,
  Fits<typeof Topics, TopicsStatus>,
  Fits<typeof WhoAmI, Whoami.WhoAmI>,
  Fits<typeof QueuesFound, QueuesFoundAnswer>,
  Fits<typeof StreamsFound, StreamsFoundAnswer>,
  Fits<typeof ConnectionsFound, ConnectionsFoundAnswer>,
  Fits<typeof TopicsFound, TopicsFoundAnswer>,
  Fits<typeof Ended, ConnectionsEnded>,
  Fits<typeof Attention, AttentionAnswer>,
  Fits<typeof History, HistoryAnswer>,
]
