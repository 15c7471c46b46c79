import { setTimeout as wait } from 'node:timers/promises'
import type { World } from './world.ts'

type Random = () => number

/** One in four hubs has little memory for its objects; it is so for all of its round. */
export const SMALL_HEAP = 'small heap'

/** What can happen to a hub and its clients. Each ends by itself, and leaves what it touched able to work. */
export const FAULTS: Record<string, (world: World, random: Random) => Promise<void>> = {
  'hub killed': (world) => world.restartHub(),
  'backup restored': (world, random) => world.restoreBackup(100 + random() * 300),
  'consumer killed': (world, random) => world.replace('worker', Math.floor(random() * 10)),
  'publisher killed': (world, random) => world.replace('publisher', Math.floor(random() * 10)),
  'reader killed': (world) => world.replace('reader', 0),
  async 'connections cut'(world) {
    world.network.cut()
  },
  async 'network slow'(world, random) {
    world.network.delay(20 + random() * 150)
    await wait(400)
    world.network.delay(0)
  },
  async 'connections half open'(world, random) {
    world.network.freeze()
    await wait(300 + random() * 900)
    world.network.thaw()
  },
  async 'disk full'(world, random) {
    try {
      if (world.data.fill()) await wait(200 + random() * 300)
    } finally {
      world.data.makeRoom()
    }
  },
  async 'event loop blocked'(world, random) {
    world.signalHub('SIGSTOP')
    await wait(200 + random() * 600)
    world.signalHub('SIGCONT')
  },
  async 'clock moved'(world) {
    world.signalHub('SIGUSR2')
  },
}
