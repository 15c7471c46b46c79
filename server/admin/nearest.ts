import { FanfareError } from '../../shared/errors.ts'
import { nearestName } from '../../shared/nearest-name.ts'
import { QUEUE_TOPIC } from '../../shared/queues.ts'
import type { Access } from '../auth/access.ts'
import type { Queues } from '../queue/queues.ts'
import type { Streams } from '../stream/streams.ts'

/** Names that are compared, so that a wrong name costs the hub little. */
const COMPARED = 500

/** Permissions that allow a client to see a queue, or a stream: those of anyone who works with it. */
export const SEES_QUEUE = ['consume', 'declare', 'admin'] as const
export const SEES_STREAM = ['declare', 'admin'] as const

/**
 * An error as its caller gets it: `no_queue` and `no_stream` name the queue or stream that was probably meant, if it is one that the
 * caller sees. `params` has the names that were asked for, in `name` and `to`; it may be anything that a client sent.
 */
export function withNearest<Thrown>(
  error: Thrown,
  params: unknown,
  { queues, streams }: { readonly queues: Queues; readonly streams: Streams },
  access: Access,
): Thrown | FanfareError {
  const code = error instanceof FanfareError && error.code
  if (code !== 'no_queue' && code !== 'no_stream') return error
  const [kind, items, sees] =
    code === 'no_queue' ? (['queue', queues, seesQueue] as const) : (['stream', streams, seesStream] as const)
  const { name, to } = params as Readonly<Record<'name' | 'to', unknown>>
  const wrong = [name, to].find((each) => typeof each === 'string' && !items.has(each))
  if (typeof wrong !== 'string') return error
  const nearest = nearestName(
    wrong,
    firstSeen(items.names, (each) => sees(each, access, streams)),
  )
  return nearest ? new FanfareError(code, `There is no ${kind} "${wrong}". Did you mean "${nearest}"?`) : error
}

function seesQueue(name: string, access: Access): boolean {
  return SEES_QUEUE.some((verb) => access.may(verb, name)) || access.may('publish', `${QUEUE_TOPIC}${name}`)
}

function seesStream(name: string, access: Access, streams: Streams): boolean {
  return SEES_STREAM.some((verb) => access.may(verb, name)) || access.mayReadAll(streams.topicsOf(name))
}

function firstSeen(names: Iterable<string>, sees: (name: string) => boolean): readonly string[] {
  const seen: string[] = []
  let looked = 0
  for (const name of names) {
    if (looked++ === COMPARED) break
    if (sees(name)) seen.push(name)
  }
  return seen
}
