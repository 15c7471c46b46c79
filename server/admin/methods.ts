import { z } from 'zod'
import type { Clock } from '../../shared/clock.ts'
import { quoted } from '../../shared/error-text.ts'
import { FanfareError } from '../../shared/errors.ts'
import { didYouMean } from '../../shared/nearest-name.ts'
import { QUEUE_SORTS } from '../../shared/queues.ts'
import { CONNECTION_SORTS, HISTORY_RANGES, STREAM_SORTS, TOPIC_SORTS } from '../../shared/sys.ts'
import { MAX_TOPIC_LENGTH } from '../../shared/topic.ts'
import type { Access, Verb } from '../auth/access.ts'
import type { Nodes } from '../bus/nodes.ts'
import { faultOf } from '../failure/schema-fault.ts'
import { queueAttention } from '../monitor/attention.ts'
import type { Monitor } from '../monitor/monitor.ts'
import { changedQueue, QueueChanges, QueueConfig } from '../queue/queue-config.ts'
import type { Queues } from '../queue/queues.ts'
import { changedStream, name, StreamChanges, StreamConfig } from '../stream/stream-config.ts'
import type { Streams } from '../stream/streams.ts'
import { findConnections, findQueues, findStreams, findTopics } from './find.ts'
import type { KnownDeclarations } from './known-declarations.ts'
import { listNamed, seenBy } from './list-named.ts'
import { SEES_QUEUE, SEES_STREAM, withNearest } from './nearest.ts'
import type { Caller, Changed, OperatorLog } from './operator-log.ts'

/** The parts that operators' methods use. */
export interface AdminParts {
  readonly nodes: Nodes
  readonly streams: Streams
  readonly queues: Queues
  readonly declarations: KnownDeclarations
  readonly monitor: Monitor
  readonly clock: Clock
  readonly operatorLog: OperatorLog
}

/**
 * The permission that a method needs: one of these verbs on the name in its params. With `listed`, the caller sees what they have
 * permission for.
 */
type Needs = Verb | readonly Verb[] | 'listed'

interface Method {
  readonly needs: Needs
  readonly params: z.ZodType
  /** Whether it changes something. Such methods are logged. */
  readonly acts: boolean
  run(parts: AdminParts, params: unknown, access: Access, changed: Changed): Promise<unknown>
}

function method<Params>(
  needs: Needs,
  params: z.ZodType<Params>,
  run: (parts: AdminParts, params: Params, access: Access) => Promise<unknown>,
): Method {
  return {
    needs,
    params: strict(params),
    acts: false,
    run: (parts, checked, access) => run(parts, checked as Params, access),
  }
}

/** A method that changes something. It calls `changed` once it has. */
function act<Params>(
  needs: Needs,
  params: z.ZodType<Params>,
  run: (parts: AdminParts, params: Params, access: Access, changed: Changed) => Promise<unknown>,
): Method {
  return {
    needs,
    params: strict(params),
    acts: true,
    run: (parts, checked, ...rest) => run(parts, checked as Params, ...rest),
  }
}

/** An unknown parameter is a slip of its sender, which would do something else than what was meant. */
function strict(params: z.ZodType): z.ZodType {
  return params instanceof z.ZodObject ? params.strict() : params
}

/** The result of an act that returns how many items it affected. */
async function counted(count: Promise<number>, changed: Changed): Promise<{ count: number }> {
  const result = { count: await count }
  changed(result)
  return result
}

const named = z.object({ name })
/** The name of a cursor follows the grammar of all names. */
const cursor = name
const whole = z.number().int().nonnegative()
const limit = whole.min(1).max(1000).default(100)
const page = z.object({ from: whole.default(0), limit: limit.default(1000) })
/** Maximum length of a filter text, in characters: that of a topic. */
const MAX_FILTER = MAX_TOPIC_LENGTH

/** Accepts the text of a query parameter too. */
const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')]).default(false)

/** Selects a part of a list. */
function search<const Sorts extends readonly [string, ...string[]]>(sorts: Sorts) {
  return z.object({
    filter: z.string().max(MAX_FILTER).default(''),
    sort: z.enum(sorts).default(sorts[0] as Sorts[number]),
    reverse: flag,
    from: whole.default(0),
    limit: limit.default(50),
  })
}

const queueSearch = search(QUEUE_SORTS).extend({ history: flag })
const streamSearch = search(STREAM_SORTS).extend({ history: flag })
const historyOf = z.object({
  of: z.enum(['hub', 'queue', 'stream']),
  name: name.optional(),
  range: z.enum(HISTORY_RANGES).default('minutes'),
})
const oneConnection = z.object({ connection: z.string().max(64) })
const key = z.string().max(255)
const MAX_LETTERS = 10_000
/** Selects dead letters of a queue; all of them without a filter. */
const letters = named.extend({
  filter: z
    .strictObject({
      topic: z.string().max(MAX_TOPIC_LENGTH).optional(),
      key: key.optional(),
      reason: z.enum(['attempts', 'rejected', 'expired', 'overflow']).optional(),
      error: z.string().max(1000).optional(),
      letters: z.array(whole).max(MAX_LETTERS).optional(),
      through: whole.optional(),
    })
    .default({}),
})

/** All methods for operators, by name. */
const METHODS: Record<string, Method> = {
  'hub.whoami': method('listed', z.object({}), async (_, __, access) => access.whoami()),
  'hub.show': method('admin', z.object({}), ({ monitor }) => monitor.overview.hub()),
  'hub.attention': method(
    'admin',
    z.object({ limit: limit.default(20) }),
    async ({ queues, monitor, clock }, { limit }) =>
      monitor.overview.attention(limit, await queueAttention(queues, limit, clock.now())),
  ),
  'hub.history': method('listed', historyOf, async ({ queues, streams, monitor }, { of, name, range }, access) => {
    if (of === 'hub') {
      access.require('admin', '$sys.hub.history')
      return monitor.overview.history(range)
    }
    if (name === undefined)
      throw new FanfareError('bad_params', `name is missing: of which ${of} is the history wanted?`)
    access.require(of === 'queue' ? SEES_QUEUE : SEES_STREAM, name)
    // Rejects if no queue or stream has that name.
    await (of === 'queue' ? queues : streams).show(name)
    return monitor.history(of, name, range)
  }),
  'nodes.list': method('admin', z.object({}), ({ monitor }) => monitor.overview.eachNode()),
  'connections.find': method('admin', search(CONNECTION_SORTS), ({ nodes }, wanted) => findConnections(nodes, wanted)),
  'connections.recent': method('admin', z.object({}), async ({ monitor }) => ({
    connections: await monitor.overview.recent(),
  })),
  'topics.find': method('admin', search(TOPIC_SORTS), ({ nodes }, wanted) => findTopics(nodes, wanted)),
  'streams.find': method('listed', streamSearch, (parts, wanted, access) =>
    findStreams(parts, wanted, seenBy(access, SEES_STREAM)),
  ),
  'queues.find': method('listed', queueSearch, (parts, wanted, access) =>
    findQueues(parts, wanted, seenBy(access, SEES_QUEUE)),
  ),
  'connections.list': method('admin', z.object({ from: whole.default(0), limit }), ({ monitor }, { from, limit }) =>
    monitor.overview.connections(from, limit),
  ),
  'connections.show': method('admin', oneConnection, ({ monitor }, { connection }) =>
    monitor.overview.connection(connection),
  ),
  'connections.disconnect': act('admin', oneConnection, async ({ monitor }, { connection }, _, changed) => {
    await monitor.overview.disconnect(connection)
    changed()
    return { connection }
  }),
  'topics.list': method('admin', z.object({ limit }), ({ monitor }, { limit }) => monitor.overview.topics(limit)),
  'streams.list': method('listed', page, ({ streams }, page, access) =>
    listNamed(streams, seenBy(access, SEES_STREAM), page),
  ),
  'streams.show': method(SEES_STREAM, named, ({ streams }, { name }) => streams.show(name)),
  'streams.declare': act('declare', StreamConfig, async (parts, options, access, changed) => {
    const { streams } = parts
    // Streams and queues receive the messages of their topics, so a client that declares one can read these topics.
    for (const topic of options.topics) access.require('subscribe', topic)
    const isNew = !streams.has(options.name)
    const stream = await streams.declare(options)
    await parts.declarations.everywhere()
    if (isNew) changed()
    return stream
  }),
  'streams.update': act('declare', StreamChanges, async (parts, changes, access, changed) => {
    const { streams } = parts
    for (const topic of changes.topics ?? []) access.require('subscribe', topic)
    const before = streams.options(changes.name)
    const options = checkParams(StreamConfig, changedStream(before, changes), 'streams.update')
    const stream = await streams.declare(options, before)
    await parts.declarations.everywhere()
    changed()
    return stream
  }),
  'streams.trim': act(
    'admin',
    named.extend({ before: z.number().int().nonnegative().optional() }),
    async ({ streams }, { name, before }, _, changed) => {
      const { first } = await streams.show(name)
      const trimmed = await streams.trim(name, before)
      changed({ offsets: trimmed.first - first })
      return trimmed
    },
  ),
  'streams.read': method(
    'listed',
    named.extend({ from: whole.default(0), limit }),
    async ({ streams }, { name, from, limit }, access) => {
      if (access.may('admin', name)) return streams.read(name, { from, limit }, () => true)
      // Anyone who may subscribe to all of its topics could read it anyway.
      if (!access.mayReadAll(streams.topicsOf(name))) access.require('admin', name)
      return streams.read(name, { from, limit }, (topic) => access.may('subscribe', topic))
    },
  ),
  'cursors.list': method(
    'listed',
    named.extend({ after: cursor.optional(), limit }),
    async ({ streams }, { name, after, limit }, access) => {
      const seesAll = SEES_STREAM.some((verb) => access.may(verb, name)) || access.mayReadAll(streams.topicsOf(name))
      const prefix = seesAll ? '' : access.ownCursors
      if (prefix === undefined) access.require(SEES_STREAM, name)
      return streams.cursors(name, { ...(after !== undefined && { after }), ...(prefix && { prefix }), limit })
    },
  ),
  'cursors.delete': act('listed', named.extend({ cursor }), async ({ streams }, { name, cursor }, access, changed) => {
    // Anyone who may move the cursor.
    if (!access.may('admin', name)) access.requireCursor(cursor, streams.topicsOf(name))
    await streams.deleteCursor(name, cursor)
    changed()
    return { name, cursor }
  }),
  'streams.delete': act('admin', named, async ({ streams }, { name }, _, changed) => {
    const { first, next } = await streams.show(name)
    await streams.delete(name)
    changed({ offsets: next - first })
    return { name }
  }),
  'queues.list': method('listed', page, ({ queues }, page, access) =>
    listNamed(queues, seenBy(access, SEES_QUEUE), page),
  ),
  'queues.show': method(SEES_QUEUE, named, ({ queues }, { name }) => queues.show(name)),
  'queues.declare': act('declare', QueueConfig, async (parts, options, access, changed) => {
    const { queues } = parts
    for (const { topic } of options.bindings) access.require('subscribe', topic)
    const isNew = !queues.has(options.name)
    const queue = await queues.declare(options)
    await parts.declarations.everywhere()
    if (isNew) changed()
    return queue
  }),
  'queues.update': act('declare', QueueChanges, async (parts, changes, access, changed) => {
    const { queues } = parts
    for (const { topic } of changes.bindings ?? []) access.require('subscribe', topic)
    const before = queues.options(changes.name)
    const options = checkParams(QueueConfig, changedQueue(before, changes), 'queues.update')
    const queue = await queues.declare(options, before)
    await parts.declarations.everywhere()
    changed()
    return queue
  }),
  'queues.delete': act('admin', named, async ({ queues }, { name }, _, changed) => {
    const { depth, inFlight, deadLetters } = await queues.show(name)
    await queues.delete(name)
    changed({ messages: depth + inFlight, deadLetters })
    return { name }
  }),
  'queues.purge': act('admin', named, ({ queues }, { name }, _, changed) => counted(queues.purge(name), changed)),
  'queues.unpark': act('admin', named.extend({ key }), async ({ queues }, { name, key }, _, changed) => {
    await queues.unpark(name, key)
    changed()
    return { name, key }
  }),
  'deadLetters.list': method(
    'admin',
    letters.extend({ from: whole.default(0), limit }),
    ({ queues }, { name, filter, from, limit }) => queues.letters.page(name, filter, from, limit),
  ),
  'deadLetters.count': method('admin', letters, ({ queues }, { name, filter }) => queues.letters.count(name, filter)),
  'deadLetters.redrive': act(
    'admin',
    letters.extend({ to: name.optional(), perSecond: z.number().positive().optional() }),
    async ({ queues }, { name, filter, to = name, perSecond }, access, changed) => {
      access.require('admin', to)
      return counted(queues.letters.redrive(name, filter, to, perSecond), changed)
    },
  ),
  'deadLetters.purge': act('admin', letters, ({ queues }, { name, filter }, _, changed) =>
    counted(queues.letters.purge(name, filter), changed),
  ),
}

/**
 * Maximum number of values in the parameters of a call. They are counted before the check, because reporting each wrong one would
 * cost far more.
 */
const MAX_VALUES = 25_000
/** Maximum number of problems in an error message about parameters, and of characters per problem. */
const MOST_PROBLEMS = 3
const PROBLEM_LENGTH = 200

/** The schema of a method's parameters. Throws `unknown_method`. */
export function paramsOf(name: string): z.ZodType {
  return methodOf(name).params
}

/**
 * Runs a method. Rejects with `unknown_method`, `bad_params`, `forbidden`, and with the method's own errors. Methods that are not
 * about a queue or stream need admin permission on the method itself, as a topic `$sys.<method>`.
 */
export async function callMethod(parts: AdminParts, name: string, params: unknown, caller: Caller): Promise<unknown> {
  const method = methodOf(name)
  const run = async (changed: Changed) => runMethod(method, parts, name, params, caller.access, changed)
  return method.acts ? parts.operatorLog.watch(name, params, caller, run) : run(() => {})
}

async function runMethod(
  method: Method,
  parts: AdminParts,
  name: string,
  params: unknown,
  access: Access,
  changed: Changed,
): Promise<unknown> {
  // Permission is checked first, so that a forbidden call costs no more than the check.
  if (method.needs !== 'listed') access.require(method.needs, targetOf(name, params))
  if (countValues(params, MAX_VALUES) > MAX_VALUES)
    throw new FanfareError('bad_params', `The parameters hold more than ${MAX_VALUES} values.`)
  const checked = checkParams(method.params, params === undefined ? {} : params, name)
  try {
    return await method.run(parts, checked, access, changed)
  } catch (error) {
    throw withNearest(error, checked, parts, access)
  }
}

/** Counts arrays, objects and their elements, up to a maximum. */
function countValues(params: unknown, most: number): number {
  const open = [params]
  let count = 0
  while (open.length > 0 && count <= most) {
    const next = open.pop()
    count++
    if (typeof next === 'object' && next !== null) for (const each of Object.values(next)) open.push(each)
  }
  return count
}

/** Throws `bad_params`, whose message names the first problems. `of` takes the parameters: a method. */
export function checkParams<Params>(schema: z.ZodType<Params>, params: unknown, of: string): Params {
  const checked = schema.safeParse(params)
  if (checked.success) return checked.data
  const { issues } = checked.error
  const problems = issues
    .slice(0, MOST_PROBLEMS)
    .map((issue) => cut(faultOf(issue, params, { schema, whole: 'The parameters', owner: of })))
  if (issues.length > MOST_PROBLEMS) problems.push(`${issues.length - MOST_PROBLEMS} more are wrong.`)
  throw new FanfareError('bad_params', problems.join(' '))
}

function cut(problem: string): string {
  return problem.length > PROBLEM_LENGTH ? `${problem.slice(0, PROBLEM_LENGTH)}…` : problem
}

function methodOf(name: string): Method {
  const method = Object.hasOwn(METHODS, name) ? METHODS[name] : undefined
  if (!method)
    throw new FanfareError(
      'unknown_method',
      `The hub has no method ${quoted(name)}.${didYouMean(name, Object.keys(METHODS))}`,
    )
  return method
}

/** These methods are about the hub, not about a stream or queue. */
const OF_HUB = /^(hub|nodes|connections|topics)\./

/** Throws `bad_params` if this cannot be the name of a stream or queue: it would be looked up, remembered and logged. */
function targetOf(method: string, params: unknown): string {
  if (OF_HUB.test(method)) return `$sys.${method}`
  return checkParams(named, typeof params === 'object' ? params : {}, method).name
}
