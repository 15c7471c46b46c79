import type { ClientOptions } from '../../client/client-options.ts'
import { pick, whole } from '../fuzz/random.ts'
import { seeded } from '../setup/seeded.ts'
import { Actor, type Connect } from './actor.ts'
import { once, QUEUES, STREAM } from './arguments.ts'
import type { Held } from './held.ts'
import type { Host } from './host.ts'
import { Promises, pause, wordsOf } from './promises.ts'

const ACTORS = 2
/** A fault begins about this often while all are connected. */
const STEPS_PER_FAULT = 100
/** An actor is closed, and another one takes its place. */
const STEPS_PER_CLOSE = 1_000
/** Longest time that everything takes to stand again when the hub is back. */
const BACK_MS = 60_000

export interface Report {
  readonly seed: number
  readonly steps: number
  readonly ends: Readonly<Record<string, number>>
  readonly hubFaults: Readonly<Record<string, number>>
  /** How many of each kind stood at the end. */
  readonly stood: Readonly<Record<string, number>>
  readonly faults: readonly string[]
}

/** Calls anything with anything while the hub comes and goes, then compares what stands with the model. */
export async function drive(connect: Connect, url: string, host: Host, seed: number, steps: number): Promise<Report> {
  const random = seeded(seed)
  const promises = new Promises()
  const hubFaults: Record<string, number> = {}
  let names = 0
  const newActor = () => {
    const open = (options: ClientOptions) => connect(url, { ...options, getToken: () => host.token() })
    return new Actor(`driver-${seed}-${names++}`, open, random, promises)
  }
  const actors = Array.from({ length: ACTORS }, newActor)
  const closes: Promise<void>[] = []
  let fault: Promise<void> | undefined
  await insist(() => declareAll(actors[0] as Actor))
  for (let n = 0; n < steps; n++) {
    pick(random, actors).step()
    if (once(random, STEPS_PER_CLOSE)) {
      const at = whole(random, ACTORS)
      closes.push((actors[at] as Actor).close())
      actors[at] = newActor()
    }
    const connected = actors.every(({ client }) => client.state === 'connected')
    if (!fault && connected && once(random, STEPS_PER_FAULT)) {
      fault = host.fault().then((name) => {
        hubFaults[name] = (hubFaults[name] ?? 0) + 1
        fault = undefined
      })
    }
    // Most is asked for while there is a hub to answer.
    if (once(random, connected ? 8 : 2)) await pause(connected ? 0 : 5)
    if (once(random, 200)) await pause(whole(random, 50))
    if (n % 500 === 0) promises.check()
  }
  await fault
  await host.calm()
  await Promise.all(closes)
  const stood = await compare(actors, promises)
  for (const actor of actors) await actor.close()
  await promises.drain(5_000)
  return { seed, steps, ends: promises.ends, hubFaults, stood, faults: [...new Set(promises.faults)] }
}

/** What stands has to work, and the hub has to have the same. Resolves to how many of each kind that was. */
async function compare(actors: readonly Actor[], promises: Promises): Promise<Record<string, number>> {
  const first = actors[0] as Actor
  await attempt(promises, 'connect', () => Promise.all(actors.map(({ client }) => client.ready())))
  await attempt(promises, 'declare', () => insist(() => declareAll(first)))
  await promises.drain(BACK_MS)
  // What was still pending may have deleted something since.
  await attempt(promises, 'declare again', () => insist(() => declareAll(first)))
  for (const actor of actors) await attempt(promises, 'list', () => sameAtHub(actor))
  const standing = actors.flatMap((actor) => actor.standing)
  const [subscriptions = [], consumers = [], responders = []] = ['subscription', 'consumer', 'responder'].map((kind) =>
    standing.filter(({ what }) => what === kind),
  )
  await attempt(promises, 'subscriptions', () => subscriptionsHear(first, subscriptions))
  await attempt(promises, 'consumers', () => queuesAreConsumed(first, consumers))
  await attempt(promises, 'responders', () => requestsAreAnswered(first, responders))
  for (const actor of actors) {
    if (actor.client.state !== 'connected') promises.faults.push(`${actor.name} is ${actor.client.state}`)
    actor.judge()
  }
  return { subscriptions: subscriptions.length, consumers: consumers.length, responders: responders.length }
}

async function declareAll({ client }: Actor): Promise<void> {
  await client.admin.streams.declare(STREAM)
  for (const queue of QUEUES) await client.admin.queues.declare(queue)
}

/** Until the hub has exactly what the model has. */
async function sameAtHub({ client, name, standing }: Actor): Promise<void> {
  await until(async () => {
    const { connections } = await client.admin.connections.list()
    // A connection that went silent is there, too, until the hub has noticed.
    const all = connections.filter((each) => each.client === name).sort((a, b) => b.connectedAt - a.connectedAt)
    const [own] = all
    if (!own) return `The hub has no ${name}`
    const { subscriptions, consumers } = await client.admin.connections.show(own.connection)
    const atHub = [...subscriptions.map(({ pattern }) => pattern), ...consumers.map(({ queue }) => queue)].sort()
    const inModel = standing.filter(({ what }) => what !== 'responder').map((held) => held.name)
    const [is, should] = [atHub, inModel.sort()].map((each) => each.join(', '))
    return is === should ? undefined : `${name} (${all.length} times) has ${is} at the hub, and should have ${should}`
  })
}

async function subscriptionsHear({ client }: Actor, all: readonly Held[]): Promise<void> {
  let probe = 0
  await until(async () => {
    probe++
    for (const topic of new Set(all.map((held) => held.topic))) {
      await client.publish(topic, { probe }, { headers: { x: '1' } })
    }
    await pause(100)
    const deaf = all.filter(({ heard }) => heard === 0)
    return deaf.length === 0 ? undefined : `Nothing reaches ${describe(deaf)}`
  })
}

/** Each probe goes to one of them: that one is ended, until none is left. */
async function queuesAreConsumed({ client }: Actor, all: readonly Held[]): Promise<void> {
  for (const { name } of QUEUES) await insist(() => client.admin.queues.purge(name))
  await until(async () => {
    const left = all.filter(({ stands }) => stands)
    for (const queue of new Set(left.map((held) => held.name)))
      await client.enqueue(queue, { probe: 1 }, { priority: 9 })
    await pause(50)
    await endThoseThatHeard(left)
    return all.some(({ stands }) => stands)
      ? `No delivery reaches ${describe(all.filter(({ stands }) => stands))}`
      : undefined
  })
}

async function requestsAreAnswered({ client }: Actor, all: readonly Held[]): Promise<void> {
  await until(async () => {
    const left = all.filter(({ stands }) => stands)
    for (const topic of new Set(left.map((held) => held.topic))) await client.request(topic, { probe: 1 })
    await endThoseThatHeard(left)
    return all.some(({ stands }) => stands)
      ? `No request reaches ${describe(all.filter(({ stands }) => stands))}`
      : undefined
  })
}

async function endThoseThatHeard(held: readonly Held[]): Promise<void> {
  for (const each of held) if (each.heard > 0) await each.close()
}

function describe(held: readonly Held[]): string {
  return held.map(({ what, name }) => `${what} ${name}`).join(', ')
}

async function attempt(promises: Promises, what: string, act: () => Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('It takes too long')), BACK_MS * 1.5)
  })
  await Promise.race([act(), late]).catch((error: unknown) => {
    promises.faults.push(`At the end, ${what}: ${wordsOf(error)}`)
  })
  clearTimeout(timer)
}

/** Repeats it until it has nothing to complain of; what a limit refuses comes again. */
async function until(act: () => Promise<string | undefined>): Promise<void> {
  const end = performance.now() + BACK_MS
  for (;;) {
    const complaint = await act().catch(wordsOf)
    if (complaint === undefined) return
    if (performance.now() > end) throw new Error(complaint)
    await pause(100)
  }
}

function insist(act: () => Promise<unknown>): Promise<void> {
  return until(() => act().then(() => undefined))
}
