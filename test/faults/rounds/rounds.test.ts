import { afterAll, it } from 'vitest'
import { ENGINES } from '../../setup/engines.ts'
import { KEPT_DATA } from '../../setup/kept-data.ts'
import { seeded } from '../../setup/seeded.ts'
import { CLIENT_FAULTS, HUB_FAULTS, SMALL_HEAP } from './faults.ts'
import { report } from './report.ts'
import { expectNoFailure, type Round, round, SEED } from './round.ts'
import { SingleHub } from './single-hub.ts'
import { World } from './world.ts'

const MOST_PAUSE_MS = 300
/** The hub's own code takes most of it. */
const SMALL_HEAP_MB = 40

const rounds: Round[] = []

/** Round n of seed s is round 1 of seed s + n - 1: a round that failed is repeated by itself. */
const SEEDS = Array.from({ length: Number(process.env['FAULTS_ROUNDS'] ?? 2) }, (_, n) => SEED + n)

it.concurrent.for(SEEDS)('FAULTS_SEED=%i FAULTS_ROUNDS=1', async (seed, { onTestFinished }) => {
  const random = seeded(seed)
  const heapMb = random() < 0.25 ? SMALL_HEAP_MB : undefined
  const engine = ENGINES[seed % ENGINES.length] as string
  const keptIn = KEPT_DATA[Math.floor(seed / ENGINES.length) % KEPT_DATA.length] as (typeof KEPT_DATA)[number]
  const world = await World.start((folder) => SingleHub.start(folder, engine, heapMb, keptIn))
  onTestFinished(() => world.close())
  const { faults, verdict } = await round(world, HUB_FAULTS, random, MOST_PAUSE_MS)
  rounds.push({ faults: heapMb === undefined ? faults : [SMALL_HEAP, ...faults], verdict })
  expectNoFailure({ faults, verdict })
})

afterAll(() => report('faults.md', rounds, [SMALL_HEAP, ...Object.keys({ ...CLIENT_FAULTS, ...HUB_FAULTS })]))
