import { BaseSequencer, type TestSpecification } from 'vitest/node'

const SLOW = /\/test\/(checks|contract\/(interruptions|leases|slow-handlers)|(browser|cli|demo|driver|faults|fuzz)\/)/

/**
 * Runs the files that start processes or wait for timeouts first, so that no long one still runs by itself at the end. Those with a
 * process of their own come before all others: a process that is shared ends where the next file needs its own.
 */
export class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const order = ({ moduleId, project }: TestSpecification) =>
      project.config.isolate ? 0 : SLOW.test(moduleId) ? 1 : 2
    return sorted.toSorted((a, b) => order(a) - order(b))
  }
}
