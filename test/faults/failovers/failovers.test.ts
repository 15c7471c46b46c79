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
  const line = (name: string, those: readonly Round[]) => {
    const times = those.map(({ outageMs }) => outageMs).sort((a, b) => a - b)
    const cells = [
      name,
      those.length,
      times[times.length >> 1] ?? '',
      times.at(-1) ?? '',
      times.filter((ms) => ms > 4_000).length,
    ]
    return `| ${cells.join(' | ')} |`
  }
  const sum = (count: (verdict: Verdict) => number) => verdicts.reduce((total, verdict) => total + count(verdict), 0)
  const counts = (['asked', 'acknowledged', 'refused', 'handled', 'redelivered'] as const).map(
    (field) => `${field} ${sum((verdict) => verdict[field])}`,
  )
  const failures = (['lost', 'doubled', 'reordered', 'unread', 'crashes'] as const).map(
    (field) => `${field} ${sum((verdict) => verdict[field].length)}`,
  )
  return [
    '| failover | rounds | median outage, ms | maximum | over 4 s |',
    '| --- | --- | --- | --- | --- |',
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
