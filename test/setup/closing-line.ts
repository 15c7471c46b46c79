import type { Reporter, SerializedError, TestModule, Vitest } from 'vitest/node'
import { BROKERS, brokerSuite } from './broker-kinds.ts'
import { type Compared, comparedSuites } from './compared-suites.ts'
import { ENGINES, suiteOn } from './engines.ts'
import { countOf, type Outcome, outcomeOf, readOutcome, unsteady, writeOutcome } from './outcome.ts'

/** A file for the outcome of the run. If it has one already, this run is the second try of the files that failed: see `.ci/run`. */
const OUTCOME = process.env['TEST_OUTCOME']

/** Ends the output with plain lines that report how many tests there were, and whether every engine and every broker had the same. */
export default class ClosingLine implements Reporter {
  private filtered = false

  onInit(vitest: Vitest): void {
    this.filtered = vitest.config.testNamePattern !== undefined
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[]): void {
    let differ = false
    // A filter by name may well choose one of them. A file that failed is compared when it has passed.
    if (!this.filtered) {
      const good = modules.filter((module) => module.ok())
      process.stdout.write('\n')
      const engines = report('engine', comparedSuites(good, ENGINES, suiteOn))
      const brokers = report('broker', comparedSuites(good, BROKERS, brokerSuite))
      differ = engines || brokers
    }
    if (differ) process.exitCode = 1
    const first = OUTCOME === undefined ? undefined : readOutcome(OUTCOME)
    if (OUTCOME !== undefined && !first) writeOutcome(OUTCOME, outcomeOf(modules, errors, differ))
    for (const test of first ? unsteady(first, modules) : []) process.stdout.write(`Unsteady: ${test}\n`)
    close(modules, first, differ)
  }
}

/** The line reports the tests of both runs, those of the second try as they ended there. */
function close(modules: readonly TestModule[], first: Outcome | undefined, differ: boolean): void {
  const passed = countOf(modules, 'passed') + (first?.passed ?? 0)
  const skipped = countOf(modules, 'skipped') + (first?.skipped ?? 0)
  const rest = skipped > 0 ? `, ${skipped} skipped` : ''
  const differing = differ ? '. The run failed: not every suite ran whole, see above' : ''
  process.stdout.write(`\n${passed} passed, ${countOf(modules, 'failed')} failed${rest}${differing}\n`)
}

/** Returns whether there are differences. */
function report(what: string, { suites, differences }: Compared): boolean {
  process.stdout.write(`Suites on every ${what}: ${suites}${differences.length > 0 ? ', but for' : ''}\n`)
  for (const difference of differences) process.stdout.write(`  ${difference}\n`)
  return differences.length > 0
}
