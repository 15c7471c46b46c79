import type { Scenario } from '../../server/cli/bench.ts'
import { type FanOutResult, fanOut } from './fan-out.ts'
import { moveToLoadCore, separateCores } from './process-stats.ts'
import { missing, type Target } from './targets.ts'

const COLUMNS = [
  'deliveries/s',
  'delivered',
  'CPU/delivery',
  'CPU of a core',
  'p50',
  'p99',
  'p99.9',
  'memory',
  'at most',
] as const
const NAME_WIDTH = 18
const GAP = 2

/** Runs one fan-out through each target, one after the other, and prints a table. */
export async function compare(targets: readonly Target[], scenario: Scenario, rounds = 1): Promise<void> {
  moveToLoadCore()
  // A signal's default would end this process before it has ended the servers that it started.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(1))
  print(`${sentence(scenario)}\n`)
  print(line('', COLUMNS))
  const results: FanOutResult[] = []
  for (let round = 0; round < rounds; round++) {
    for (const target of targets) {
      const reason = missing(target)
      if (reason) print(`${target.name.padEnd(NAME_WIDTH)}  left out: ${reason}`)
      else {
        const result = await fanOut(target, scenario)
        results.push(result)
        print(row(result))
      }
    }
  }
  for (const { name, answersChecksOf } of targets) {
    const ratio = answersChecksOf && medianRatio(results, name, answersChecksOf)
    if (ratio) print(`\n${name} delivers ${(ratio * 100).toFixed(1)} % of ${answersChecksOf}, median of the rounds`)
  }
}

/** The median of the deliveries of one target, divided by those of another in the same round. */
function medianRatio(results: readonly FanOutResult[], name: string, base: string): number | undefined {
  const of = (wanted: string) => results.filter(({ target }) => target === wanted)
  const bases = of(base)
  const ratios = of(name).flatMap(({ deliveriesPerSecond }, round) => {
    const beside = bases[round]
    return beside ? [deliveriesPerSecond / beside.deliveriesPerSecond] : []
  })
  const sorted = ratios.sort((a, b) => a - b)
  const middle = sorted.length / 2
  return sorted.length === 0
    ? undefined
    : ((sorted[Math.ceil(middle) - 1] ?? 0) + (sorted[Math.floor(middle)] ?? 0)) / 2
}

function sentence({ subscribers, publishers, size, rate, stalled, seconds }: Scenario): string {
  const speed = rate === undefined ? 'as fast as it goes' : `at ${rate} messages/s`
  const who = `${counted(publishers, 'publisher')} to ${counted(subscribers, 'subscriber')}`
  const stall = stalled > 0 ? ` of which ${stalled} do not read` : ''
  const where = separateCores ? ', server and load on one core each' : ''
  return `${size} bytes from ${who}${stall}, ${speed}, measured for ${counted(seconds, 'second')}${where}.`
}

function counted(count: number, noun: string): string {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`
}

function row({ target, deliveriesPerSecond, share, p50, p99, p999, process }: FanOutResult): string {
  const milliseconds = (value: number) => `${value.toFixed(1)} ms`
  return line(target, [
    Math.round(deliveriesPerSecond).toLocaleString('en'),
    `${(share * 100).toFixed(1)} %`,
    process ? `${process.cpuMicrosPerDelivery.toFixed(3)} µs` : '',
    process ? `${(process.cpuShare * 100).toFixed(0)} %` : '',
    milliseconds(p50),
    milliseconds(p99),
    milliseconds(p999),
    process ? `${process.megabytes.toFixed(0)} MB` : '',
    process ? `${process.megabytesPeak.toFixed(0)} MB` : '',
  ])
}

function line(name: string, cells: readonly string[]): string {
  const padded = cells.map((cell, n) => cell.padStart(Math.max(COLUMNS[n]?.length ?? 0, 9)))
  return [name.padEnd(NAME_WIDTH), ...padded].join(' '.repeat(GAP)).trimEnd()
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
