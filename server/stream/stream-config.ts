import { z } from 'zod'
import type { StreamDeclaration } from '../../shared/declarations.ts'
import { FORBIDDEN_KEY } from '../../shared/forbidden-keys.ts'
import type { StreamOptions } from '../../shared/streams.ts'
import { parsePattern } from '../../shared/topic.ts'
import type { Declared } from '../broker/rules/declarations.ts'
import { duration } from '../time/time-params.ts'

/** Defaults of a stream's declaration. */
export const STREAM_DEFAULTS = {
  maxAgeMs: 7 * 86_400_000,
  lastValue: false,
  durability: 'disk',
} as const

/** Maximum number of topics of a stream, and of bindings of a queue. */
const MAX_TOPICS = 1000
export const MAX_BINDINGS = 10_000

/** The name of an existing stream or queue: hubs before the rule for new names accepted any of these. */
export const name = z.string().regex(/^[\w.-]{1,64}$/, 'must be 1 to 64 letters, digits and _ . -')

/** `$sys.queues.` takes two of a topic's 32 words. */
const NAME_WORDS = 30

/**
 * The name of a new stream or queue. It has to consist of words of a topic, for `$queue.<name>` and `$sys.queues.<name>`; to be
 * valid in a URL path, unlike `.` and `..`; and to be safe as a JSON key, unlike `__proto__`.
 */
export const newName = name
  .regex(/^[\w-]+(\.[\w-]+)*$/, 'must be words of letters, digits, _ and -, joined by single dots')
  .refine((text) => text.split('.').length <= NAME_WORDS, `must have at most ${NAME_WORDS} words`)
  .refine((text) => text !== FORBIDDEN_KEY, `must not be ${FORBIDDEN_KEY}`)

export const pattern = z.string().superRefine((value, context) => {
  try {
    parsePattern(value)
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message })
  }
})

/** The same fields without defaults, of which only the name has to be there. */
export function changesOf(fields: z.ZodObject): z.ZodType {
  const { name: target, ...others } = fields.shape
  return z.strictObject({ ...(target && { name: target }), ...withoutDefaults(others) })
}

function withoutDefaults(shape: z.ZodRawShape): z.ZodRawShape {
  return Object.fromEntries(
    Object.entries(shape).map(([field, type]) => {
      const inner = type instanceof z.ZodDefault ? type.unwrap() : type
      return [field, (inner instanceof z.ZodObject ? changesOf(inner) : (inner as z.ZodType)).optional()]
    }),
  )
}

const StreamFields = z.strictObject({
  name: newName,
  topics: z.array(pattern).min(1).max(MAX_TOPICS),
  maxAge: duration.default(STREAM_DEFAULTS.maxAgeMs),
  maxBytes: z.number().int().positive().optional(),
  maxMessages: z.number().int().positive().optional(),
  lastValue: z.boolean().default(STREAM_DEFAULTS.lastValue),
  durability: z.enum(['disk', 'os']).default(STREAM_DEFAULTS.durability),
} satisfies Record<keyof StreamDeclaration, z.ZodType>)

/** The declaration of a stream, as written by configuration and operators; completed with defaults, except for that of `maxBytes`. */
export const StreamConfig = StreamFields.refine(
  ({ lastValue, maxMessages }) => !(lastValue && maxMessages !== undefined),
  {
    path: ['maxMessages'],
    message: 'cannot be combined with lastValue, which keeps one message for each topic and key',
  },
).transform(({ maxAge, ...options }) => ({ ...options, maxAgeMs: maxAge })) satisfies z.ZodType<
  Declared<StreamOptions>,
  StreamDeclaration
>

/** The name of a stream, and what is to be different. */
export const StreamChanges = changesOf(StreamFields) as z.ZodType<
  Partial<StreamDeclaration> & { readonly name: string }
>

/** The declaration of a stream that is there, with changes. */
export function changedStream({ maxAgeMs: maxAge, ...options }: StreamOptions, changes: object): object {
  return { maxAge, ...options, ...changes }
}
