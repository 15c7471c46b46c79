import { describe, expect, it } from 'vitest'
import type { Policy } from '../../shared/frames.ts'
import { type Command, World } from './outbox-world.ts'

const NO_TOTAL = 1024 * 1024 * 1024

function subscribe(peer: number, sub: number, policy: Policy = 'drop-oldest'): Command {
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
})
