import { readFileSync, writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import type { SerializedError, TestModule } from 'vitest/node'

/** What became of a run: of the files in which a test failed, and of all others. */
export interface Outcome {
  readonly passed: number
  readonly skipped: number
  /** Names of the tests that failed, by file; none if the file itself failed. */
  readonly failed: Readonly<Record<string, readonly string[]>>
  /** Whether something else went wrong, such as an error that no test caught: a second try of these files cannot disprove that. */
  readonly otherwise: boolean
}

export function countOf(modules: readonly TestModule[], state: string): number {
  const tests = modules.flatMap((module) => [...module.children.allTests()])
  return tests.filter((test) => test.result().state === state).length
}

/** `differ`: suites that should have the same tests do not. */
export function outcomeOf(
  modules: readonly TestModule[],
  errors: readonly SerializedError[],
  differ: boolean,
): Outcome {
  const good = modules.filter((module) => module.ok())
  const bad = modules.filter((module) => !module.ok())
  return {
    passed: countOf(good, 'passed'),
    skipped: countOf(good, 'skipped'),
    failed: Object.fromEntries(bad.map((module) => [fileOf(module), failedTests(module)])),
    // What a failed test leaves behind may be rejected later. The runner names the file in which that happened.
    otherwise: differ || errors.some((error) => !bad.some(({ moduleId }) => moduleId === error['VITEST_TEST_PATH'])),
  }
}

export function readOutcome(path: string): Outcome | undefined {
  const text = readFileSync(path, 'utf8')
  return text === '' ? undefined : JSON.parse(text)
}

export function writeOutcome(path: string, outcome: Outcome): void {
  writeFileSync(path, JSON.stringify(outcome))
}

/** What failed in the first run and passed in the second, a line each. */
export function unsteady(first: Outcome, modules: readonly TestModule[]): string[] {
  return modules.flatMap((module) => {
    const file = fileOf(module)
    const names = first.failed[file] ?? []
    const still = new Set(failedTests(module))
    if (names.length === 0) return module.ok() ? [file] : []
    return names.filter((name) => !still.has(name)).map((name) => `${file} > ${name}`)
  })
}

function fileOf(module: TestModule): string {
  return relative(process.cwd(), module.moduleId)
}

function failedTests(module: TestModule): string[] {
  return [...module.children.allTests('failed')].map((test) => test.fullName)
}
