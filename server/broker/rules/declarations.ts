/**
 * Whether two declarations of a stream or queue have the same options: the order of keys makes no difference, at any depth,
 * and neither does a key without a value.
 */
export function sameOptions(a: object, b: object): boolean {
  return canonical(a) === canonical(b)
}

function canonical(options: object): string {
  return JSON.stringify(options, (_, value: unknown) => (isRecord(value) ? sorted(value) : value))
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function sorted(record: Record<string, unknown>): object {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)))
}
