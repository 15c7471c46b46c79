import { afterAll, it } from 'vitest'
import { ENGINES } from '../../setup/engines.ts'
import { seeded } from '../../setup/seeded.ts'
import { Cluster } from './cluster.ts'
import { CLIENT_FAULTS, CLUSTER_FAULTS } from './faults.ts'
import { report } from './report.ts'
import { expectNoFailure, type Round, round, seedsOf } from './round.ts'
import { World } from './world.ts'

const MOST_PAUSE_MS = 1000

const rounds: Round[] = []

it.concurrent.for(seedsOf(process.env['CLUSTER_ROUNDS'], 1))(
  'FAULTS_SEED=%i CLUSTER_ROUNDS=1',
  async (seed, { onTestFinished }) => {
    const engines = [...ENGINES.slice(seed % ENGINES.length), ...ENGINES]
    const world = await World.start((folder) => Cluster.start(folder, engines))
    onTestFinished(() => world.close())
    const done = await round(world, CLUSTER_FAULTS, seeded(seed), MOST_PAUSE_MS)
    rounds.push(done)
    expectNoFailure(done)
  },
)

afterAll(() => report('cluster-faults.md', rounds, Object.keys({ ...CLIENT_FAULTS, ...CLUSTER_FAULTS })))
