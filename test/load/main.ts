import { tmpdir } from 'node:os'
import { Command } from 'commander'
import { addScenario, type Scenario } from '../../server/cli/bench.ts'
import { integer } from '../../server/cli/connection-options.ts'
import { CLUSTER_PARTS, cluster } from './cluster/cluster.ts'
import type { ClusterLoad } from './cluster/load-cluster.ts'
import { REDIS_QUEUES_PARTS, type RedisQueuesLoad, redisQueues } from './cluster/redis-queues.ts'
import { redisStreams } from './cluster/redis-streams.ts'
import { compare } from './compare.ts'
import type { DurableLoad } from './durable-load.ts'
import { hostile } from './hostile.ts'
import { idle } from './idle.ts'
import { match } from './match.ts'
import { type NamesLoad, names } from './names.ts'
import { type PairsLoad, pairs } from './pairs.ts'
import { moveToLoadCore } from './process-stats.ts'
import { queues } from './queues.ts'
import { type StormLoad, storm } from './storm.ts'
import { streams } from './streams/streams.ts'
import { asking, fanfare, nativeUws, nats, plainWs, type Target } from './targets.ts'

const TARGETS: Record<string, Target> = {
  ws: fanfare('ws'),
  uws: fanfare('uws'),
  'ws-asks': asking('ws'),
  'uws-asks': asking('uws'),
  'plain-ws': plainWs,
  'native-uws': nativeUws,
  nats,
}
const NAMES = `of ${Object.keys(TARGETS).join(', ')}`

const program = new Command('load')

addScenario(program.command('fan-out'))
  .description('every message to all subscribers: throughput, CPU and latency')
  .option('--rounds <n>', 'how often, for figures that agree', integer('--rounds', 1), 1)
  .option('--targets <names>', NAMES, 'ws,uws,plain-ws,native-uws')
  .action(({ rounds, targets, ...scenario }: Scenario & { rounds: number; targets: string }) =>
    compare(targetsOf(targets), scenario, rounds),
  )

program
  .command('pairs')
  .description('what a publish costs: few subscribers, and a WebSocket message for each publish')
  .option('--size <bytes>', 'size of a payload', integer('--size', 30, 100_000), 81)
  .option('--seconds <n>', 'time of each measurement', integer('--seconds', 1), 4)
  .option('--rounds <n>', 'how often, for figures that agree', integer('--rounds', 1), 1)
  .option('--engines <names>', 'of ws, uws', 'uws')
  .action(({ engines, ...load }: PairsLoad & { engines: string }) =>
    pairs([...engines.split(',').map((engine) => fanfare(engine)), nats], load),
  )

program
  .command('idle')
  .description('memory of connections that say hello and nothing more')
  .option('--connections <n>', 'how many', integer('--connections', 1), 10_000)
  .option('--targets <names>', NAMES, 'ws,uws')
  .action(async ({ connections, targets }: { connections: number; targets: string }) => {
    moveToLoadCore()
    for (const target of targetsOf(targets)) {
      const bytes = await idle(target, connections)
      process.stdout.write(`${target.name.padEnd(16)} ${(bytes / 1000).toFixed(1)} kB for each idle connection\n`)
    }
  })

program
  .command('storm')
  .description('all clients are cut off at once, and come back')
  .option('--engine <name>', 'ws or uws', 'ws')
  .option('--connections <n>', 'how many', integer('--connections', 1), 10_000)
  .action((load: StormLoad) => storm(load))

program
  .command('match')
  .description('what a match costs, by how many subscriptions there are')
  .option('--subscriptions <numbers>', 'how many there are', '1000,1000000')
  .option('--devices <numbers>', 'how many different topics come', '250,250000')
  .action((options: Record<string, string>) => {
    for (const subscriptions of (options['subscriptions'] ?? '').split(',').map(Number)) {
      for (const devices of (options['devices'] ?? '').split(',').map(Number)) {
        const { microsPerMatch, found, bytesPerSubscription } = match(subscriptions, devices)
        process.stdout.write(
          `${subscriptions.toLocaleString('en').padStart(9)} subscriptions, ${devices.toLocaleString('en').padStart(7)} topics  ` +
            `${microsPerMatch.toFixed(2).padStart(5)} µs a match that finds ${found}  ` +
            `${bytesPerSubscription.toFixed(0)} bytes for each subscription\n`,
        )
      }
    }
  })

program
  .command('names')
  .description('what very many streams and queues cost')
  .option('--engine <name>', 'ws or uws', 'ws')
  .option('--names <n>', 'streams, and queues', integer('--names', 10), 10_000)
  .option('--seconds <n>', 'time of each measurement', integer('--seconds', 1), 2)
  .option('--folder <path>', 'where data is kept meanwhile: on a disk', tmpdir())
  .action((load: NamesLoad) => names(load))

program
  .command('hostile')
  .description('the longest turn of the event loop that 1,000 hostile frames of each kind cause')
  .option('--engines <names>', 'of ws, uws', 'ws,uws')
  .action(({ engines }: { engines: string }) => hostile(engines.split(',')))

program
  .command('cluster')
  .description('hubs on one Redis: latency, the cost of the way over Redis, Socket.IO for comparison, a killed hub')
  .option('--engine <name>', 'ws or uws', 'ws')
  .option('--size <bytes>', 'size of a payload', integer('--size', 30, 100_000), 200)
  .option('--subscribers <n>', 'of each hub', integer('--subscribers', 1), 100)
  .option('--clients <n>', 'of the hub that is killed', integer('--clients', 1), 2_000)
  .option('--seconds <n>', 'time of each measurement', integer('--seconds', 1), 5)
  .option('--parts <names>', `of ${CLUSTER_PARTS}`, CLUSTER_PARTS)
  .action((load: ClusterLoad & { parts: string }) => cluster(load))

addDurable(program.command('streams'), 100, 10_000_000)
  .description('durable publishes, replay, what capture costs, a long stream')
  .action((load: DurableLoad) => streams(load))

addDurable(program.command('queues'), 200, 1_000_000)
  .description('durable publishes to a queue, consuming, a long queue, groups')
  .action((load: DurableLoad) => queues(load))

addDurable(program.command('redis-queues'), 200, 100_000)
  .description('queues of a hub on a Redis that syncs each write, next to Redis alone and BullMQ')
  .option('--parts <names>', `of ${REDIS_QUEUES_PARTS}`, REDIS_QUEUES_PARTS)
  .action((load: RedisQueuesLoad) => redisQueues(load))

addDurable(program.command('redis-streams'), 100, 200_000)
  .description('streams of a cluster: durable publishes, replay, and what Redis itself does')
  .action((load: DurableLoad) => redisStreams(load))

function addDurable(command: Command, size: number, messages: number): Command {
  return command
    .option('--engine <name>', 'ws or uws', 'ws')
    .option('--size <bytes>', 'size of the data of a message', integer('--size', 30, 200_000), size)
    .option('--messages <n>', 'length of the long one', integer('--messages', 10_000), messages)
    .option('--seconds <n>', 'time that is measured', integer('--seconds', 1), 4)
    .option('--folder <path>', 'where data is kept meanwhile: on a disk', tmpdir())
}

function targetsOf(names: string): Target[] {
  return names.split(',').map((name) => {
    const target = TARGETS[name]
    if (!target) throw new Error(`No target "${name}"; there are ${NAMES}`)
    return target
  })
}

await program.parseAsync()
