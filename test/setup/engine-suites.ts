import type { TestModule, TestSuite } from 'vitest/node'
import { ENGINES, type EngineUnderTest, suiteOn } from './engines.ts'

/** Names of the tests that ran in a suite, on each engine. */
type Ran = Map<EngineUnderTest, string[]>

/**
 * The contract suites of a run, by what actually ran: one that was left out on an engine, or a test in it, would else
 * go unnoticed among hundreds that passed.
 */
export function engineSuites(modules: readonly TestModule[]): { suites: number; differences: string[] } {
  const suites = modules.flatMap((module) => [...suitesOf(module)])
  return { suites: suites.length, differences: suites.flatMap(differencesIn) }
}

function suitesOf(module: TestModule): Map<string, Ran> {
  const suites = new Map<string, Ran>()
  for (const suite of module.children.suites()) {
    const engine = ENGINES.find((engine) => suite.name.endsWith(suiteOn(engine, '')))
    if (!engine) continue
    const name = suite.name.slice(0, -suiteOn(engine, '').length)
    const ran = suites.get(name) ?? new Map<EngineUnderTest, string[]>()
    suites.set(name, ran.set(engine, testsThatRan(suite)))
  }
  return suites
}

function testsThatRan(suite: TestSuite): string[] {
  const tests = [...suite.children.allTests()].filter((test) => test.result().state !== 'skipped')
  return tests.map((test) => test.fullName.slice(suite.fullName.length))
}

function differencesIn([name, ran]: [string, Ran]): string[] {
  const everywhere = new Set([...ran.values()].flat())
  if (everywhere.size === 0) return [`${name}: no test ran`]
  return ENGINES.flatMap((engine) => {
    const here = ran.get(engine) ?? []
    const missing = [...everywhere].filter((test) => !here.includes(test))
    return missing.map((test) => `${suiteOn(engine, name)}${test}: did not run`)
  })
}
