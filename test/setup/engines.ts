export const ENGINES = ['ws', 'uws'] as const
export type EngineUnderTest = (typeof ENGINES)[number]

/** What a contract suite is called where it runs on an engine. */
export function suiteOn(engine: EngineUnderTest, name: string): string {
  return `${name} on ${engine}`
}
