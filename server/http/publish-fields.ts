import { FanfareError } from '../../shared/errors.ts'
import { MAX_DELAY_MS } from '../../shared/field-rules.ts'
import type { PublishFrame } from '../../shared/frames.ts'
import { parseFrame } from '../../shared/parse-frame.ts'
import { mismatch } from '../../shared/rules.ts'
import { DURATION_WORDS, durationMs, INSTANT_WORDS, instantMs } from '../../shared/time.ts'

/**
 * The frame of a publish that arrived over HTTP: the same object, converted. People write these fields, so a delay is a duration,
 * and times may be ISO 8601 text. Throws `bad_frame`, `forbidden_key`, `nested_too_deeply`.
 */
export function publishFrameOf(item: unknown, seq: number): PublishFrame {
  // The item itself: copying a long string, which is not a publish, takes 200 ms, and a copy of a `ForbiddenFrame` would not be
  // one.
  const fields: Record<string, unknown> = Object(item)
  if (fields['delayMs'] !== undefined)
    throw new FanfareError('bad_frame', 'publish has no field "delayMs". Use "delay", such as "30s".')
  if (fields['delay'] !== undefined) {
    fields['delayMs'] = whole(fields, 'delay', delayOf, DELAY_WORDS)
    delete fields['delay']
  }
  for (const name of ['expiresAt', 'deliverAt'])
    if (typeof fields[name] === 'string') fields[name] = whole(fields, name, instantMs, INSTANT_WORDS)
  return parseFrame(Object.assign(fields, { type: 'publish', seq })) as PublishFrame
}

const DELAY_WORDS = `at most 366 days: ${DURATION_WORDS}`

function delayOf(value: unknown): number | undefined {
  const ms = durationMs(value)
  return ms !== undefined && ms <= MAX_DELAY_MS ? ms : undefined
}

function whole(
  fields: Record<string, unknown>,
  name: string,
  read: (value: unknown) => number | undefined,
  words: string,
): number {
  const ms = read(fields[name])
  if (ms === undefined) throw new FanfareError('bad_frame', mismatch(name, words, fields[name]))
  return Math.ceil(ms)
}
