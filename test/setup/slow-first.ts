import { BaseSequencer, type TestSpecification } from 'vitest/node'

const SLOW = /\/test\/(checks|(browser|cli|demo|driver|faults|fuzz)\/)/

/** Runs the files that start processes or wait for timeouts first, so that no long one still runs by itself at the end. */
export class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const isSlow = ({ moduleId }: TestSpecification) => SLOW.test(moduleId)
    return [...sorted.filter(isSlow), ...sorted.filter((file) => !isSlow(file))]
  }
}
