import type { Reporter, TestModule, Vitest } from 'vitest/node'
import { engineSuites } from './engine-suites.ts'

/** Ends the output with plain lines that say how many tests there were, and that every engine had the same. */
export default class ClosingLine implements Reporter {
  private filtered = false

  onInit(vitest: Vitest): void {
    this.filtered = vitest.config.testNamePattern !== undefined
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    // A filter by name may well choose one engine.
    if (!this.filtered) reportEngines(modules)
    const tests = modules.flatMap((module) => [...module.children.allTests()])
    const count = (state: string) => tests.filter((test) => test.result().state === state).length
    const skipped = count('skipped')
    const rest = skipped > 0 ? `, ${skipped} skipped` : ''
    process.stdout.write(`\n${count('passed')} passed, ${count('failed')} failed${rest}\n`)
  }
}

function reportEngines(modules: readonly TestModule[]): void {
  const { suites, differences } = engineSuites(modules)
  process.stdout.write(`\nSuites on every engine: ${suites}${differences.length > 0 ? ', but for' : ''}\n`)
  for (const difference of differences) process.stdout.write(`  ${difference}\n`)
  if (differences.length > 0) process.exitCode = 1
}
