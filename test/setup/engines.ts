export type EngineUnderTest = 'ws' | 'uws'

/** Both, or those that the environment names: uWebSockets.js has binaries for some versions of Node only. */
export const ENGINES: readonly EngineUnderTest[] = (['ws', 'uws'] as const).filter((engine) =>
  (process.env['FANFARE_TEST_ENGINES'] ?? 'ws,uws').split(',').includes(engine),
)

/** The name of a contract suite on an engine. */
export function suiteOn(engine: EngineUnderTest, name: string): string {
  return `${name} on ${engine}`
}
