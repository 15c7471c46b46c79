import { FanfareError } from '../../shared/errors.ts'
import type { PublishFrame } from '../../shared/frames.ts'
import { parseFrame } from '../../shared/parse-frame.ts'
import { DURATION_WORDS, durationMs, INSTANT_WORDS, instantMs } from '../../shared/time.ts'

/**
 * The frame of a publish that came over HTTP, which is the object that was given. People write these fields: a delay is a duration, and
 * times may be ISO 8601 text. Throws `bad_frame`, `forbidden_key`, `nested_too_deeply`.
 */
export function publishFrameOf(item: unknown, seq: number): PublishFrame {
  // The item itself: copying a long string, which is none, takes 200 ms, and a copy of a `ForbiddenFrame` would not be one.
  const fields: Record<string, unknown> = Object(item)
  if (fields['delayMs'] !== undefined) throw fault('"delayMs" is not a field. Use "delay", such as "30s"')
  if (fields['delay'] !== undefined) {
    fields['delayMs'] = whole(fields, 'delay', durationMs, DURATION_WORDS)
    delete fields['delay']
  }
  for (const name of ['expiresAt', 'deliverAt'])
    if (typeof fields[name] === 'string') fields[name] = whole(fields, name, instantMs, INSTANT_WORDS)
  return parseFrame(Object.assign(fields, { type: 'publish', seq })) as PublishFrame
}

function whole(
  fields: Record<string, unknown>,
  name: string,
  read: (value: unknown) => number | undefined,
  words: string,
): number {
  const ms = read(fields[name])
  if (ms === undefined) throw fault(`"${name}" is not ${words}`)
  return Math.ceil(ms)
}

function fault(text: string): FanfareError {
  return new FanfareError('bad_frame', `In "publish", ${text}`)
}
