import { z } from 'zod'
import { quoted } from '../../shared/error-text.ts'
import { FanfareError } from '../../shared/errors.ts'
import { type HeaderFilter, POLICIES, type SubscribeFrame } from '../../shared/frames.ts'
import { parseFrame } from '../../shared/parse-frame.ts'
import { parseStart, type StartAt } from '../../shared/streams.ts'
import { checkParams } from '../admin/methods.ts'
import { EVENT_HEADERS } from './end-event.ts'
import { EventSocket } from './event-socket.ts'
import { EventWriter, NOT_BEGUN } from './event-writer.ts'
import { headersOf } from './header-params.ts'
import { type HttpExchange, OPENING, type Operation } from './operation.ts'
import { problemResponse, refusalOf } from './problem.ts'

const utf8 = new TextEncoder()

const Query = z.strictObject({
  pattern: z.array(z.string()).min(1).describe('May be repeated; a topic belongs to the first pattern that matches it'),
  from: z
    .string()
    .optional()
    .describe('For streams: latest, earliest, an offset, <epoch>:<offset>, last:<n>, a time, or the id of an event'),
  stream: z.string().optional().describe('Stream to read, if several capture the pattern'),
  policy: z.enum(POLICIES).optional().describe('What happens to messages that arrive faster than they are read'),
  all: z.array(z.string()).optional().describe('Headers (name=value) that a message must have, all of them'),
  any: z.array(z.string()).optional().describe('Headers (name=value) of which a message must have at least one'),
  lastEventId: z
    .string()
    .optional()
    .describe('Same as the header Last-Event-ID, for polyfills that cannot set headers'),
})
type Query = z.infer<typeof Query>

const HEADERS = { ...EVENT_HEADERS, 'transfer-encoding': 'chunked', connection: 'close' }

export const eventOperations: readonly Operation[] = [
  {
    id: 'events',
    summary: 'Receive messages as server-sent events, for EventSource',
    method: 'get',
    path: '/events',
    params: Query,
    rest: 'query',
    headers: { 'Last-Event-ID': 'On a stream: resumes after the event with this id; takes precedence over from' },
    answers: [
      {
        status: 200,
        description:
          'One event per message, whose data is a Message; for streams with the id to resume from. event: gap reports missing messages, event: end (a Problem) why the hub ends the response. Temporary refusals are also sent as such an event if the request accepts text/event-stream.',
        type: 'text/event-stream',
        schema: z.string(),
      },
    ],
    refusals: [
      ...OPENING,
      ...(['bad_frame', 'bad_pattern', 'policy_unsupported', 'too_many_subscriptions'] as const),
      ...(['no_stream', 'ambiguous_stream', 'storage_failed', 'data_damaged'] as const),
    ],
    run: events,
  },
]

async function events({ hub, request, peer, access, params }: HttpExchange): Promise<Response> {
  const query = checkParams(Query, params, 'The query')
  const frames = subscribeFrames(query, request.headers.get('last-event-id') || query.lastEventId)
  if (request.method === 'HEAD') return new Response(null, { headers: HEADERS })
  const socket = new EventSocket(peer, new EventWriter(frames), frames.length, hub.unexpected)
  socket.handlers = hub.open(socket, peer?.remoteAddress ?? '', access)
  const client = request.headers.get('user-agent')?.slice(0, 200)
  socket.handlers.message(utf8.encode(JSON.stringify([{ type: 'hello', client }, ...frames])), false)
  try {
    await socket.started
  } catch (refusal) {
    socket.gone()
    return problemResponse(refusal instanceof Error ? refusalOf(refusal) : (refusal as FanfareError))
  }
  return new Response(socket.body, { headers: HEADERS })
}

/** The subscribe frames, numbered like the patterns. Throws `bad_params`, `bad_frame`. */
function subscribeFrames(
  { pattern, from, stream, policy, all, any }: Query,
  lastEventId: string | undefined,
): SubscribeFrame[] {
  const starts = startsOf(pattern.length, from, 'from')
  const onStream = from !== undefined || stream !== undefined || policy === 'pause'
  const resumed = onStream && lastEventId ? startsOf(pattern.length, lastEventId, 'Last-Event-ID') : undefined
  const positioned = from !== undefined || resumed !== undefined
  const filter = {
    ...(all && { all: headersOf('all', all) }),
    ...(any && { any: headersOf('any', any) }),
  }
  const frames = pattern.map((each, sub) => ({
    type: 'subscribe' as const,
    sub,
    pattern: each,
    ...(policy && { policy }),
    ...(stream !== undefined && { stream }),
    ...(positioned && { from: resumed?.[sub] ?? starts[sub] ?? 'latest' }),
    ...((all || any) && { filter: filter as HeaderFilter }),
  }))
  // Each of them has the filter. A filter that is too large is refused before it is written once per pattern.
  if (frames[0]) parseFrame(frames[0])
  return frames
}

/** The start of each pattern: one for all, or several as in the id of an event. Throws `bad_params`. */
function startsOf(count: number, text: string | undefined, name: string): (StartAt | undefined)[] {
  if (text === undefined) return []
  const parts = text.split(',')
  if (parts.length !== 1 && parts.length !== count) {
    throw new FanfareError(
      'bad_params',
      `${name} has ${parts.length} positions for ${count} patterns: give one, or one per pattern.`,
    )
  }
  const starts = parts.map((part) => {
    const start = part === NOT_BEGUN ? undefined : parseStart(part)
    if (start === undefined && part !== NOT_BEGUN) {
      throw new FanfareError(
        'bad_params',
        `${name} must be latest, earliest, OFFSET, EPOCH:OFFSET, last:N or a time (got ${quoted(part)}).`,
      )
    }
    return start
  })
  return parts.length === 1 ? Array.from({ length: count }, () => starts[0]) : starts
}
