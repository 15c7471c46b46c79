import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { SlowPolicy } from '../../shared/frames.ts'
import { type Command, World } from './outbox-world.ts'

const RUNS = 200
const NO_TOTAL = 1024 * 1024 * 1024

const peer = fc.nat(2)
const sub = fc.nat(2)
const topic = fc.constantFrom('a', 'b', 'a.b')
const pattern = fc.constantFrom('a', 'b', '#', 'a.#', '*')
const key = fc.constantFrom(undefined, 'k', 'l')
const size = fc.oneof(fc.nat(40), fc.nat(4000))
const writes = fc.constantFrom(0, 1, 2)

function commands(policy: fc.Arbitrary<SlowPolicy>, times = fc.integer({ min: 1, max: 12 })): fc.Arbitrary<Command[]> {
  const subscribe: fc.Arbitrary<Command> = fc.record({ do: fc.constant('subscribe'), peer, sub, pattern, policy })
  const command: fc.Arbitrary<Command> = fc.oneof(
    { weight: 8, arbitrary: fc.record({ do: fc.constant('publish'), topic, key, size, binary: fc.boolean(), times }) },
    { weight: 2, arbitrary: subscribe },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('unsubscribe'), peer, sub }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('pause', 'resume'), peer, sub }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('receipts'), peer, times }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('missed'), peer }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('stall'), peer, writes }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('drain'), peer, writes }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('answer'), peer, times: fc.integer({ min: 1, max: 3 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('pass'), ms: fc.constantFrom(1, 40, 400, 12_000) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('turn') }) },
  )
  return fc
    .tuple(fc.array(subscribe, { minLength: 1, maxLength: 6 }), fc.array(command, { maxLength: 80, size: 'max' }))
    .map(([first, then]) => [...first, ...then])
}

function subscribe(peer: number, sub: number, policy: SlowPolicy = 'drop-oldest'): Command {
  return { do: 'subscribe', peer, sub, pattern: '#', policy }
}

function publish(size: number, times = 1): Command {
  return { do: 'publish', topic: 'a', key: undefined, size, binary: false, times }
}

async function playedOut(commands: readonly Command[], totalLimit: number): Promise<World> {
  const world = new World(totalLimit)
  await world.run(commands)
  await world.finish()
  return world
}

describe('an outbox', () => {
  it('that writes before the turn ends takes nothing from those that share its run', async () => {
    const pauses: Command[] = [{ do: 'pause', peer: 0, sub: 1 }, publish(10), { do: 'turn' }]
    const early: Command = { do: 'resume', peer: 0, sub: 1 }
    const setting = [subscribe(0, 0), subscribe(0, 1), subscribe(1, 0), { do: 'turn' } as const, ...pauses]
    const { peers } = await playedOut([...setting, publish(10, 3), early, publish(10)], NO_TOTAL)
    expect(peers[1]?.all[0]?.model.seen).toEqual(['m0', 'm1', 'm2', 'm3', 'm4'])
  })

  it.each<Command>([
    { do: 'receipts', peer: 0, times: 1 },
    { do: 'pause', peer: 0, sub: 1 },
  ])('that the last message before a request overflows ends for that reason: $do', async (request) => {
    const overlapping = [subscribe(0, 0, 'disconnect'), subscribe(0, 1, 'disconnect')]
    const stalled: Command = { do: 'stall', peer: 0, writes: 0 }
    const { peers } = await playedOut([...overlapping, { do: 'turn' }, stalled, publish(4000, 8), request], NO_TOTAL)
    expect(peers[0]?.ended).toBe('slow_consumer')
  })

  it('that is given up while it resumes ends for that reason', async () => {
    const paused: Command[] = [{ do: 'turn' }, { do: 'pause', peer: 0, sub: 1 }, { do: 'turn' }]
    const resumed: Command[] = [{ do: 'stall', peer: 0, writes: 0 }, publish(1800), { do: 'resume', peer: 0, sub: 1 }]
    const { peers } = await playedOut([subscribe(0, 0), subscribe(0, 1), ...paused, ...resumed], 1000)
    expect(peers[0]?.ended).toBe('outbox_total')
  })

  it('counts what waits for a paused subscription among its bytes', async () => {
    const subscribed = ['a', 'b'].map((pattern, sub) => ({ ...subscribe(0, sub), pattern }) as Command)
    const paused: Command[] = [{ do: 'pause', peer: 0, sub: 0 }, { do: 'turn' }, { do: 'stall', peer: 0, writes: 0 }]
    const live = { ...publish(4000, 8), topic: 'b' } as Command
    const { peers } = await playedOut([...subscribed, ...paused, live, { do: 'turn' }, publish(4000, 8)], NO_TOTAL)
    expect(peers[0]?.ended).toBeUndefined()
  })

  it('keeps the bound on all of them where messages of other nodes may be missing', async () => {
    const to = (peer: number, sub: number, pattern: string): Command =>
      ({ ...subscribe(peer, sub), pattern }) as Command
    const subscribed = [to(1, 1, 'b'), to(0, 0, 'a'), to(1, 0, 'a')]
    const stalled: Command[] = [0, 1].map((peer) => ({ do: 'stall', peer, writes: 0 }))
    const early: Command[] = [{ ...publish(10, 9), topic: 'b' } as Command, { do: 'pause', peer: 0, sub: 0 }]
    const missed: Command[] = [0, 1].map((peer) => ({ do: 'missed', peer }))
    for (let size = 3480; size < 3540; size++) {
      const waiting: Command[] = [publish(19, 4), { do: 'receipts', peer: 0, times: 8 }, { do: 'turn' }]
      await playedOut([...subscribed, ...stalled, ...early, ...waiting, publish(size, 4), ...missed], 24_000)
    }
  })
})

describe('outboxes under random use', () => {
  const anyPolicy = fc.constantFrom<SlowPolicy>('drop-oldest', 'drop-newest', 'conflate')

  it('deliver every message in order, or count it in a gap at its place', () =>
    fc.assert(
      fc.asyncProperty(commands(anyPolicy), async (commands) => {
        const { peers } = await playedOut(commands, NO_TOTAL)
        for (const peer of peers) expect(peer.ended).not.toBe('outbox_total')
      }),
      { numRuns: RUNS },
    ))

  it('do so until a policy disconnects, or the bound on all of them', () => {
    const policy = fc.constantFrom<SlowPolicy>('drop-oldest', 'drop-newest', 'conflate', 'disconnect')
    return fc.assert(
      fc.asyncProperty(commands(policy), fc.constantFrom(24_000, 60_000, NO_TOTAL), (commands, totalLimit) =>
        playedOut(commands, totalLimit).then(() => undefined),
      ),
      { numRuns: RUNS },
    )
  })

  it('with conflate and room for all keys, deliver the newest of each key', () =>
    fc.assert(
      fc.asyncProperty(commands(fc.constant('conflate')), async (commands) => {
        // Three topics with three keys each, of 400 bytes: one of each fits also into half an outbox, for three paused.
        const small = commands.map((command) =>
          command.do === 'publish' ? { ...command, size: command.size / 10 } : { ...command, times: 1 },
        )
        const { peers, published } = await playedOut(small as Command[], NO_TOTAL)
        for (const { model, due } of peers.flatMap(({ all }) => all)) {
          const newest = new Map(due.map((id) => [JSON.stringify(published.get(id)), id]))
          expect(model.seen).toEqual(expect.arrayContaining([...newest.values()]))
        }
      }),
      { numRuns: RUNS },
    ))
})
