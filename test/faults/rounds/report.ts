import type { Verdict } from './checker.ts'
import { FAULTS, SMALL_HEAP } from './faults.ts'

export interface Round {
  readonly faults: readonly string[]
  readonly verdict: Verdict
}

const COUNTED = ['asked', 'acknowledged', 'refused', 'handled', 'redelivered'] as const
const FAILURES = ['lost', 'doubled', 'reordered', 'unread', 'crashes'] as const

/** A table of what happened, a line for each fault with the rounds that had it among others. */
export function reportOf(rounds: readonly Round[]): string {
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
    ...[SMALL_HEAP, ...Object.keys(FAULTS)].map((fault) => line(fault, having(fault))),
    line('all rounds', rounds),
  ].join('\n')
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
