import type { Reporter, TestModule, Vitest } from 'vitest/node'
import { BROKERS, brokerSuite } from './broker-kinds.ts'
import { type Compared, comparedSuites } from './compared-suites.ts'
import { ENGINES, suiteOn } from './engines.ts'

/** Ends the output with plain lines that report how many tests there were, and whether every engine and every broker had the same. */
export default class ClosingLine implements Reporter {
  private filtered = false

  onInit(vitest: Vitest): void {
    this.filtered = vitest.config.testNamePattern !== undefined
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    // A filter by name may well choose one of them.
    if (!this.filtered) {
      process.stdout.write('\n')
      report('engine', comparedSuites(modules, ENGINES, suiteOn))
      report('broker', comparedSuites(modules, BROKERS, brokerSuite))
    }
    const tests = modules.flatMap((module) => [...module.children.allTests()])
    const count = (state: string) => tests.filter((test) => test.result().state === state).length
    const skipped = count('skipped')
    const rest = skipped > 0 ? `, ${skipped} skipped` : ''
    process.stdout.write(`\n${count('passed')} passed, ${count('failed')} failed${rest}\n`)
  }
}

function report(what: string, { suites, differences }: Compared): void {
  process.stdout.write(`Suites on every ${what}: ${suites}${differences.length > 0 ? ', but for' : ''}\n`)
  for (const difference of differences) process.stdout.write(`  ${difference}\n`)
  if (differences.length > 0) process.exitCode = 1
}
