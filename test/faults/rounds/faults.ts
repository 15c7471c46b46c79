import { setTimeout as wait } from 'node:timers/promises'
import type { Cluster } from './cluster.ts'
import type { SingleHub } from './single-hub.ts'
import type { World } from './world.ts'

type Random = () => number
export type Faults<These> = Record<string, (these: These, random: Random) => Promise<void>>

// What can happen. Each ends by itself, and leaves what it touched able to work

/** One in four hubs has little memory for its objects; it is so for all of its round. */
export const SMALL_HEAP = 'small heap'

/** To clients, and to the network between them and a hub. */
export const CLIENT_FAULTS: Faults<World> = {
  'consumer killed': ({ crew }, random) => crew.replace('worker', Math.floor(random() * 10)),
  'publisher killed': ({ crew }, random) => crew.replace('publisher', Math.floor(random() * 10)),
  'reader killed': ({ crew }) => crew.replace('reader', 0),
  async 'connections cut'({ network }) {
    network.cut()
  },
  async 'network slow'({ network }, random) {
    network.delay(20 + random() * 150)
    await wait(400)
    network.delay(0)
  },
  async 'connections half open'({ network }, random) {
    network.freeze()
    await wait(300 + random() * 900)
    network.thaw()
  },
}

/** To a hub that stores its data itself. */
export const HUB_FAULTS: Faults<SingleHub> = {
  'hub killed': (hub) => hub.restart(),
  'backup restored': (hub, random) => hub.restoreBackup(100 + random() * 300),
  async 'disk full'({ data }, random) {
    try {
      if (data.fill()) await wait(200 + random() * 300)
    } finally {
      data.makeRoom()
    }
  },
  async 'event loop blocked'(hub, random) {
    hub.signal('SIGSTOP')
    await wait(200 + random() * 600)
    hub.signal('SIGCONT')
  },
  async 'clock moved'(hub) {
    hub.signal('SIGUSR2')
  },
}

/** To the hubs of a cluster, to their links, and to Redis. A hub that gives no sign of life for 5 s has left, as the others see it. */
export const CLUSTER_FAULTS: Faults<Cluster> = {
  'hub killed': (cluster, random) => cluster.pick(random).restart('SIGKILL'),
  'hubs restarted one by one': (cluster) => cluster.roll(),
  'hub stopped': (cluster, random) => cluster.pick(random).pause(200 + random() * 3000),
  'hub stopped until it has left': (cluster, random) => cluster.pick(random).pause(5200 + random() * 2000),
  async 'links cut'(cluster, random) {
    cluster.pick(random).link.cut()
  },
  async 'links refused'(cluster, random) {
    const { link } = cluster.pick(random)
    link.refuse()
    await wait(300 + random() * 4000)
    link.allow()
  },
  async 'links hang'(cluster, random) {
    const { link } = cluster.pick(random)
    link.delay(300 + random() * 3000)
    await wait(200 + random() * 1000)
    link.delay(0)
  },
  async 'links half open'(cluster, random) {
    const { link } = cluster.pick(random)
    link.freeze()
    await wait(500 + random() * 6500)
    link.thaw()
  },
  async 'answers of Redis lost'(cluster, random) {
    const { link } = cluster.pick(random)
    link.holdReplies()
    await wait(random() * 100)
    link.cut()
  },
  'Redis killed': (cluster, random) => cluster.restartRedis(random() * 2000),
  'Redis stopped': (cluster, random) => cluster.pauseRedis(200 + random() * 5500),
  'scripts flushed': (cluster) => cluster.command('SCRIPT', 'FLUSH'),
  'connections of Redis killed': (cluster, random) =>
    cluster.command('CLIENT', 'KILL', 'TYPE', random() < 0.5 ? 'normal' : 'pubsub'),
  'Redis full': (cluster, random) => cluster.fillRedis(300 + random() * 1200),
}
