/**
 * Whether two declarations of a stream or queue have the same options. All lists in them are sets (topics, bindings), so that neither order
 * nor repetition in a list makes a difference; and neither does the order of keys, at any depth, or a key without a value.
 */
export function sameOptions(a: object, b: object): boolean {
  return canonical(a) === canonical(b)
}

function canonical(options: unknown): string {
  return JSON.stringify(options, (_, value: unknown) => {
    if (Array.isArray(value)) return [...new Set(value.map(canonical))].sort()
    return isRecord(value) ? sorted(value) : value
  })
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function sorted(record: Record<string, unknown>): object {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)))
}
