import { mkdirSync, writeFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, it } from 'vitest'
import { ENGINES } from '../../setup/engines.ts'
import { KEPT_DATA } from '../../setup/kept-data.ts'
import { seeded } from '../../setup/seeded.ts'
import { judge } from './checker.ts'
import { FAULTS, SMALL_HEAP } from './faults.ts'
import { type Round, reportOf } from './report.ts'
import { World } from './world.ts'

const ROUNDS = Number(process.env['FAULTS_ROUNDS'] ?? 2)
/** Round n of seed s is round 1 of seed s + n - 1: a round that failed is repeated by itself. */
const SEED = Number(process.env['FAULTS_SEED'] ?? Date.now() % 1_000_000)
const MOST_FAULTS = 4
const MOST_PAUSE_MS = 300
/** The hub's own code takes most of it. */
const SMALL_HEAP_MB = 40

const rounds: Round[] = []

it.concurrent.for(Array.from({ length: ROUNDS }, (_, n) => SEED + n))(
  'FAULTS_SEED=%i FAULTS_ROUNDS=1',
  async (seed, { expect, onTestFinished }) => {
    const random = seeded(seed)
    const smallHeap = random() < 0.25
    const engine = ENGINES[seed % ENGINES.length] as string
    const keptIn = KEPT_DATA[Math.floor(seed / ENGINES.length) % KEPT_DATA.length] as (typeof KEPT_DATA)[number]
    const world = await World.start(engine, smallHeap ? SMALL_HEAP_MB : undefined, keptIn)
    onTestFinished(() => world.close())
    const faults = Array.from({ length: 2 + Math.floor(random() * (MOST_FAULTS - 1)) }, () => {
      const names = Object.keys(FAULTS)
      return names[Math.floor(random() * names.length)] as string
    })
    // Some begin while others last.
    const under = faults.map(async (fault) => {
      await wait(random() * MOST_PAUSE_MS * faults.length)
      await FAULTS[fault]?.(world, random)
    })
    await Promise.all(under)
    const end = await world.settle()
    const verdict = judge(world.history(), end)
    rounds.push({ faults: smallHeap ? [SMALL_HEAP, ...faults] : faults, verdict })
    const { lost, doubled, reordered, unread, crashes } = verdict
    expect(verdict.acknowledged).toBeGreaterThan(0)
    expect({ faults, lost, doubled, reordered, unread, crashes }).toEqual({
      faults,
      lost: [],
      doubled: [],
      reordered: [],
      unread: [],
      crashes: [],
    })
  },
)

afterAll(() => {
  mkdirSync('test/output', { recursive: true })
  writeFileSync('test/output/faults.md', `${reportOf(rounds)}\n`)
  console.log(reportOf(rounds))
})
