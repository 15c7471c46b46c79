import { Command } from 'commander'
import { type FanOutResult, fanOut } from './fan-out.ts'
import { idle } from './idle.ts'
import { match } from './match.ts'
import { moveToCore } from './process-stats.ts'
import { fanfare, missing, nativeUws, nats, plainWs, type Target } from './targets.ts'

const TARGETS: Record<string, Target> = {
  ws: fanfare('ws'),
  uws: fanfare('uws'),
  'plain-ws': plainWs,
  'native-uws': nativeUws,
  nats,
}

const program = new Command('load')
program
  .command('fan-out')
  .option('--subscribers <n>', '', '100')
  .option('--publishers <n>', '', '1')
  .option('--size <bytes>', '', '100')
  .option('--rate <n>', 'messages a second; without it as fast as it goes')
  .option('--stalled <n>', 'subscribers that stop reading', '0')
  .option('--seconds <n>', '', '4')
  .option('--rounds <n>', '', '1')
  .option('--targets <names>', Object.keys(TARGETS).join(','), 'ws,uws,plain-ws,native-uws')
  .action(async (options: Record<string, string>) => {
    moveToCore(1)
    const scenario = {
      subscribers: Number(options['subscribers']),
      publishers: Number(options['publishers']),
      size: Number(options['size']),
      rate: options['rate'] === undefined ? undefined : Number(options['rate']),
      stalled: Number(options['stalled']),
      seconds: Number(options['seconds']),
    }
    const targets = (options['targets'] ?? '').split(',').map((name) => TARGETS[name] as Target)
    for (let round = 0; round < Number(options['rounds']); round++) {
      for (const target of targets) {
        const reason = missing(target)
        if (reason) process.stdout.write(`${target.name}: left out, ${reason}\n`)
        else process.stdout.write(row(await fanOut(target, scenario)))
      }
    }
  })

program
  .command('idle')
  .option('--connections <n>', '', '10000')
  .option('--targets <names>', Object.keys(TARGETS).join(','), 'ws,uws')
  .action(async (options: Record<string, string>) => {
    moveToCore(1)
    for (const name of (options['targets'] ?? '').split(',')) {
      const target = TARGETS[name] as Target
      const bytes = await idle(target, Number(options['connections']))
      process.stdout.write(`${target.name.padEnd(16)} ${(bytes / 1000).toFixed(1)} kB for each idle connection\n`)
    }
  })

program
  .command('match')
  .option('--subscriptions <numbers>', '', '1000,1000000')
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

function row(r: FanOutResult): string {
  return (
    `${r.target.padEnd(16)} ${Math.round(r.deliveriesPerSecond).toLocaleString('en').padStart(10)}/s  ` +
    `${(r.share * 100).toFixed(1).padStart(5)} % delivered  ${r.cpuMicrosPerDelivery.toFixed(3).padStart(7)} µs CPU each, ` +
    `${(r.cpuShare * 100).toFixed(0).padStart(3)} % of a core  p50 ${r.p50.toFixed(1)} p99 ${r.p99.toFixed(1)} ` +
    `p99.9 ${r.p999.toFixed(1)} ms  ${r.megabytes.toFixed(0)} to ${r.megabytesPeak.toFixed(0)} MB\n`
  )
}

await program.parseAsync()
