import type { TestModule, TestSuite } from 'vitest/node'

/** Names of the tests that ran in a suite, on each of those it runs on. */
type Ran<Kind> = Map<Kind, string[]>

/** What became of the suites that run on each of several engines, or brokers. */
export interface Compared {
  readonly suites: number
  readonly differences: string[]
}

/**
 * The suites of a run that run on each of `kinds`, by what actually ran: one that was left out on one of them, or a test in
 * it, would otherwise go unnoticed among hundreds that passed.
 *
 * @param nameOn what a suite is called on one of them
 */
export function comparedSuites<Kind extends string>(
  modules: readonly TestModule[],
  kinds: readonly Kind[],
  nameOn: (kind: Kind, name: string) => string,
): Compared {
  const suites = modules.flatMap((module) => [...suitesOf(module, kinds, nameOn)])
  const differences = suites.flatMap(([name, ran]) => differencesIn(ran, kinds, (kind) => nameOn(kind, name), name))
  return { suites: suites.length, differences }
}

function suitesOf<Kind extends string>(
  module: TestModule,
  kinds: readonly Kind[],
  nameOn: (kind: Kind, name: string) => string,
): Map<string, Ran<Kind>> {
  const suites = new Map<string, Ran<Kind>>()
  for (const suite of module.children.suites()) {
    const kind = kinds.find((kind) => suite.name.endsWith(nameOn(kind, '')))
    if (kind === undefined) continue
    const name = suite.name.slice(0, -nameOn(kind, '').length)
    const ran = suites.get(name) ?? new Map<Kind, string[]>()
    suites.set(name, ran.set(kind, testsThatRan(suite)))
  }
  return suites
}

function testsThatRan(suite: TestSuite): string[] {
  const tests = [...suite.children.allTests()].filter((test) => test.result().state !== 'skipped')
  return tests.map((test) => test.fullName.slice(suite.fullName.length))
}

function differencesIn<Kind>(
  ran: Ran<Kind>,
  kinds: readonly Kind[],
  titleOn: (kind: Kind) => string,
  name: string,
): string[] {
  const everywhere = new Set([...ran.values()].flat())
  if (everywhere.size === 0) return [`${name}: no test ran`]
  return kinds.flatMap((kind) => {
    const here = ran.get(kind) ?? []
    const missing = [...everywhere].filter((test) => !here.includes(test))
    return missing.map((test) => `${titleOn(kind)}${test}: did not run`)
  })
}
