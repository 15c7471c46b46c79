import { afterAll, it } from 'vitest'
import { ENGINES } from '../../setup/engines.ts'
import { seeded } from '../../setup/seeded.ts'
import { Cluster } from './cluster.ts'
import { CLIENT_FAULTS, CLUSTER_FAULTS } from './faults.ts'
import { report } from './report.ts'
import { expectNoFailure, type Round, round, SEED } from './round.ts'
import { World } from './world.ts'

const ROUNDS = Number(process.env['CLUSTER_ROUNDS'] ?? 1)
/** Of one cluster: it takes most of the time to start the processes. */
const ROUNDS_AT_ONCE = Math.min(ROUNDS, 10)
const MOST_PAUSE_MS = 1000
const ROUND_MS = 120_000

const SEEDS = Array.from({ length: Math.ceil(ROUNDS / ROUNDS_AT_ONCE) }, (_, n) => SEED + n)
const rounds: Round[] = []

it.for(SEEDS)(
  `FAULTS_SEED=%i CLUSTER_ROUNDS=${ROUNDS_AT_ONCE}`,
  { timeout: ROUNDS_AT_ONCE * ROUND_MS },
  async (seed, { onTestFinished }) => {
    const random = seeded(seed)
    const engines = [...ENGINES.slice(seed % ENGINES.length), ...ENGINES]
    const world = await World.start((folder) => Cluster.start(folder, engines))
    onTestFinished(() => world.close())
    for (let n = 0; n < ROUNDS_AT_ONCE; n++) {
      const done = await round(world, CLUSTER_FAULTS, random, MOST_PAUSE_MS)
      rounds.push(done)
      expectNoFailure(done)
    }
  },
)

afterAll(() => report('cluster-faults.md', rounds, Object.keys({ ...CLIENT_FAULTS, ...CLUSTER_FAULTS })))
