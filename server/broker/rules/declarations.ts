import { FanfareError } from '../../../shared/errors.ts'

/** The maximum size of a stream or queue whose declaration does not set one: a part of a disk, or of the memory of a Redis. */
export const DEFAULT_MAX_BYTES = { disk: 10 * 1024 ** 3, redis: 256 * 1024 ** 2 } as const

/** Options of a declaration, which may leave the size to the broker. */
export type Declared<Options extends { readonly maxBytes: number }> = Omit<Options, 'maxBytes'> & {
  readonly maxBytes?: number | undefined
}

/**
 * Completes a declaration. One that sets no size keeps the default that the existing stream or queue has, even if it is that of
 * another kind of broker: what was copied from there keeps its messages, and is not a different declaration.
 */
export function withMaxBytes<Options extends { readonly maxBytes: number }>(
  options: Declared<Options>,
  existing: Pick<Options, 'maxBytes'> | undefined,
  byDefault: number,
): Options {
  const kept = Object.values<number | undefined>(DEFAULT_MAX_BYTES).find((bytes) => bytes === existing?.maxBytes)
  return { ...options, maxBytes: options.maxBytes ?? kept ?? byDefault } as Options
}

/**
 * Whether two declarations of a stream or queue have the same options. All lists in them are sets (topics, bindings), so neither
 * order nor repetition in a list makes a difference. Neither does the order of keys at any depth, or a key without a value.
 */
export function sameOptions(a: object, b: object): boolean {
  return canonical(a) === canonical(b)
}

/** Whether a declaration changes nothing. */
export function isDeclared(existing: { readonly options: object } | undefined, options: object): boolean {
  return existing !== undefined && sameOptions(existing.options, options)
}

/** The refusal of a declaration that would change an existing stream or queue. It names the first option that differs. */
export function alreadyExists<Options extends { readonly name: string }>(
  kind: 'stream' | 'queue',
  existing: Options,
  wanted: Options,
): FanfareError {
  const names = [...new Set([...Object.keys(wanted), ...Object.keys(existing)])] as (keyof Options)[]
  const name = names.find((each) => canonical(existing[each]) !== canonical(wanted[each]))
  const difference = name
    ? `${String(name)} is ${brief(existing[name])}, you asked for ${brief(wanted[name])}`
    : 'compare them'
  const title = kind === 'stream' ? 'Stream' : 'Queue'
  return new FanfareError(
    `${kind}_exists`,
    `${title} "${wanted.name}" already exists with different options: ${difference}. Use the same options, or change it with ${kind}s.update.`,
  )
}

function brief(value: unknown): string {
  const text = JSON.stringify(value) ?? 'not set'
  return text.length > 100 ? `${text.slice(0, 100)}…` : text
}

export function canonical(options: unknown): string {
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
