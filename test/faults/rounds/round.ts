import { setTimeout as wait } from 'node:timers/promises'
import { expect } from 'vitest'
import { FAILURES, judge, type Verdict } from './checker.ts'
import { CLIENT_FAULTS, type Faults } from './faults.ts'
import type { Hubs } from './hubs.ts'
import type { World } from './world.ts'

const PUBLISHERS = 2
const MOST_FAULTS = 4

export interface Round {
  readonly faults: readonly string[]
  readonly verdict: Verdict
}

/** The first of the seeds of a run. */
export const SEED = Number(process.env['FAULTS_SEED'] ?? Date.now() % 1_000_000)

/** Does two or more faults, of which some begin while others last, within some milliseconds for each; and judges. */
export async function round<These extends Hubs>(
  world: World<These>,
  hubFaults: Faults<These>,
  random: () => number,
  pauseMs: number,
): Promise<Round> {
  await world.crew.begin(PUBLISHERS)
  const names = [...Object.keys(CLIENT_FAULTS), ...Object.keys(hubFaults)]
  const drawn = Array.from(
    { length: 2 + Math.floor(random() * (MOST_FAULTS - 1)) },
    () => names[Math.floor(random() * names.length)] as string,
  )
  const faults = drawn.map((name) => drawnFault(name))
  async function drawnFault(name: string): Promise<void> {
    await wait(random() * pauseMs * drawn.length)
    await (CLIENT_FAULTS[name]?.(world, random) ?? hubFaults[name]?.(world.hubs, random))
  }
  await Promise.all(faults)
  const end = await world.settle()
  return { faults: drawn, verdict: judge(world.crew.history(), end, world.crew.fresh()) }
}

export function expectNoFailure({ faults, verdict }: Round): void {
  expect(verdict.acknowledged).toBeGreaterThan(0)
  const failures = Object.fromEntries(FAILURES.map((each) => [each, verdict[each]]))
  expect({ faults, ...failures }).toEqual({ faults, ...Object.fromEntries(FAILURES.map((each) => [each, []])) })
}
