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
})
