import { mkdirSync, writeFileSync } from 'node:fs'
import { FAILURES } from './checker.ts'
import type { Round } from './round.ts'

const COUNTED = ['asked', 'acknowledged', 'refused', 'handled', 'redelivered'] as const

/** Writes a table of what happened, a line for each fault with the rounds that had it among others. */
export function report(file: string, rounds: readonly Round[], faults: readonly string[]): void {
  const table = tableOf(rounds, faults)
  mkdirSync('test/output', { recursive: true })
  writeFileSync(`test/output/${file}`, `${table}\n`)
  console.log(table)
}

function tableOf(rounds: readonly Round[], faults: readonly string[]): string {
  const line = (name: string, those: readonly Round[]) => {
    const counts = COUNTED.map((field) => sum(those.map(({ verdict }) => verdict[field])))
    const failures = FAILURES.map((field) => sum(those.map(({ verdict }) => verdict[field].length)))
    return `| ${[name, those.length, ...counts, ...failures].join(' | ')} |`
  }
  const columns = ['fault', 'rounds', ...COUNTED, ...FAILURES]
  const having = (fault: string) => rounds.filter(({ faults }) => faults.includes(fault))
  return [
    `| ${columns.join(' | ')} |`,
    `| ${columns.map(() => '---').join(' | ')} |`,
    ...faults.map((fault) => line(fault, having(fault))),
    line('all rounds', rounds),
  ].join('\n')
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
