import { z } from 'zod'
import type { QueueDeclaration } from '../../shared/declarations.ts'
import { MAX_FILTER_LENGTH, MAX_HEADERS } from '../../shared/field-rules.ts'
import type { QueueOptions } from '../../shared/queues.ts'
import type { Declared } from '../broker/rules/declarations.ts'
import { changesOf, MAX_BINDINGS, newName, pattern } from '../stream/stream-config.ts'
import { duration } from '../time/time-params.ts'

/** Defaults of a queue's declaration. */
export const QUEUE_DEFAULTS = {
  ackDeadlineMs: 30_000,
  maxAttempts: 5,
  backoffBaseMs: 1_000,
  backoffCapMs: 60_000,
  maxMessages: 1_000_000_000,
  overflow: 'reject',
  onExpiry: 'drop',
  onDeadLetter: 'continue',
  maxDeadLetters: 10_000,
} as const

const count = z.number().int().positive()
const headers = z.record(z.string(), z.string()).superRefine((record, context) => {
  const length = Object.entries(record).reduce((sum, [name, value]) => sum + name.length + value.length, 0)
  if (Object.keys(record).length <= MAX_HEADERS && length <= MAX_FILTER_LENGTH) return
  const message = `must have at most ${MAX_HEADERS} headers and ${MAX_FILTER_LENGTH} characters`
  context.addIssue({ code: 'custom', message })
})

const QueueFields = z.strictObject({
  name: newName,
  bindings: z
    .array(
      z.strictObject({
        topic: pattern,
        match: z.union([z.strictObject({ all: headers }), z.strictObject({ any: headers })]).optional(),
      }),
    )
    .max(MAX_BINDINGS)
    .default([]),
  ackDeadline: duration.default(QUEUE_DEFAULTS.ackDeadlineMs),
  maxAttempts: count.default(QUEUE_DEFAULTS.maxAttempts),
  backoff: z
    .strictObject({
      base: duration.default(QUEUE_DEFAULTS.backoffBaseMs),
      cap: duration.default(QUEUE_DEFAULTS.backoffCapMs),
    })
    .default({ base: QUEUE_DEFAULTS.backoffBaseMs, cap: QUEUE_DEFAULTS.backoffCapMs }),
  maxMessages: count.default(QUEUE_DEFAULTS.maxMessages),
  maxBytes: count.optional(),
  overflow: z.enum(['reject', 'drop-oldest', 'dead-letter', 'block']).default(QUEUE_DEFAULTS.overflow),
  onExpiry: z.enum(['drop', 'dead-letter']).default(QUEUE_DEFAULTS.onExpiry),
  onDeadLetter: z.enum(['continue', 'park']).default(QUEUE_DEFAULTS.onDeadLetter),
  maxDeadLetters: count.default(QUEUE_DEFAULTS.maxDeadLetters),
} satisfies Record<keyof QueueDeclaration, z.ZodType>)

/** The declaration of a queue, as written by configuration, clients and operators; completed with defaults, except for that of `maxBytes`. */
export const QueueConfig = QueueFields.transform(
  ({ ackDeadline, backoff, ...options }): Declared<QueueOptions> => ({
    ...options,
    ackDeadlineMs: ackDeadline,
    backoffBaseMs: backoff.base,
    backoffCapMs: backoff.cap,
  }),
) satisfies z.ZodType<Declared<QueueOptions>, QueueDeclaration>

/** The name of a queue, and what is to be different. */
export const QueueChanges = changesOf(QueueFields) as z.ZodType<QueueDeclaration>

/** The declaration of a queue that is there, with changes. */
export function changedQueue(options: QueueOptions, { backoff, ...changes }: QueueDeclaration): QueueDeclaration {
  const { ackDeadlineMs: ackDeadline, backoffBaseMs: base, backoffCapMs: cap, ...others } = options
  return { ackDeadline, ...others, ...changes, backoff: { base, cap, ...backoff } }
}
