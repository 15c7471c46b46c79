import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { afterAll, expect, it } from 'vitest'
import { seeded } from '../../setup/seeded.ts'
import type { Verdict } from '../rounds/checker.ts'
import { FAILOVERS, type Round, World } from './world.ts'

// The primary changes again and again under load, in several ways; judged by what the clients have noted

const ROUNDS = Number(process.env['FAILOVERS'] ?? 1)
/** Failovers of one cluster. */
const PIECE = Math.min(25, ROUNDS)
/** Piece n of seed s is piece 1 of seed s + n - 1. */
const SEED = Number(process.env['FAILOVERS_SEED'] ?? Date.now() % 1_000_000)

const OUTPUT = 'test/output'
mkdirSync(OUTPUT, { recursive: true })

const COUNTED = ['asked', 'acknowledged', 'refused', 'handled', 'redelivered'] as const
const FAILED = ['lost', 'doubled', 'reordered', 'unread', 'crashes'] as const

const rounds: Round[] = []
const verdicts: Verdict[] = []

it.for(Array.from({ length: Math.ceil(ROUNDS / PIECE) }, (_, n) => SEED + n))(
  `FAILOVERS_SEED=%i FAILOVERS=${PIECE}`,
  { timeout: 60_000 * (PIECE + 2) },
  async (seed) => {
    const random = seeded(seed)
    const world = await World.start()
    const names = Object.keys(FAILOVERS)
    for (let round = 0; round < PIECE; round++) {
      const done = await world.round(names[Math.floor(random() * names.length)] as string, random)
      rounds.push(done)
      appendFileSync(`${OUTPUT}/failovers.log`, `${JSON.stringify({ seed, round, ...done })}\n`)
    }
    const verdict = await world.settle()
    verdicts.push(verdict)
    const { lost, doubled, reordered, unread, crashes } = verdict
    expect(verdict.acknowledged).toBeGreaterThan(0)
    const none = { lost: [], doubled: [], reordered: [], unread: [], crashes: [] }
    expect({ lost, doubled, reordered, unread, crashes }).toEqual(none)
  },
)

afterAll(() => {
  const report = reportOf()
  writeFileSync(`${OUTPUT}/failovers.md`, `${report}\n`)
  console.log(report)
})

function reportOf(): string {
  const median = (numbers: readonly number[]) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? ''
  const line = (name: string, those: readonly Round[]) => {
    const outages = those.map(({ outageMs }) => outageMs)
    const shares = [those.map(({ switchedMs }) => switchedMs), those.map(({ completeMs }) => completeMs)].map(median)
    const over = outages.filter((ms) => ms > 4_000).length
    return `| ${[name, those.length, ...shares, median(outages), Math.max(0, ...outages), over].join(' | ')} |`
  }
  const sum = (count: (verdict: Verdict) => number) => verdicts.reduce((total, verdict) => total + count(verdict), 0)
  const counts = COUNTED.map((field) => `${field} ${sum((verdict) => verdict[field])}`)
  const failures = FAILED.map((field) => `${field} ${sum((verdict) => verdict[field].length)}`)
  return [
    '| failover | rounds | median until Sentinel has switched, ms | until all replicas are back | until publishing again | maximum | over 4 s |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...Object.keys(FAILOVERS).map((name) =>
      line(
        name,
        rounds.filter(({ failover }) => failover === name),
      ),
    ),
    line('all', rounds),
    '',
    [...counts, ...failures].join(', '),
  ].join('\n')
}
