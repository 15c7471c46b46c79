import { CONTENT_FRAMES, isPlainPublish, MAX_TOKEN, SETTLEMENT } from './content-frames.ts'
import { quoted } from './error-text.ts'
import { FanfareError } from './fanfare-error.ts'
import type { ClientFrame, Frame } from './frames.ts'
import { HUB_FRAMES } from './hub-frame-rules.ts'
import { BOOLEAN, checkFrame, LIST, NUMBER, optional, type Rules, textUpTo } from './rules.ts'

/** What each type of frame has to have, beyond being an object. Absent optional fields are fine, wrong ones are not. */
const FRAMES: Record<Frame['type'], Rules> = {
  ...HUB_FRAMES,
  ...CONTENT_FRAMES,
  // Those that a client makes of nothing but its own numbers.
  ...({
    auth: { seq: NUMBER, token: textUpTo(MAX_TOKEN) },
    unsubscribe: { sub: NUMBER, finish: optional(BOOLEAN) },
    pause: { sub: NUMBER },
    resume: { sub: NUMBER },
    begin: SETTLEMENT,
    return: { consumer: NUMBER, deliveries: LIST },
    stop: { consumer: NUMBER },
    cancel: { consumer: NUMBER },
    commit: { sub: NUMBER, offset: NUMBER },
    ping: {},
    checked: { n: NUMBER },
  } satisfies Record<Exclude<ClientFrame['type'], keyof typeof CONTENT_FRAMES>, Rules>),
}

/**
 * The one parser: a frame of either direction, from anything. The frame is the object that was given, checked and not
 * copied. Throws `bad_frame` for a wrong shape, `forbidden_key`, `nested_too_deeply` for its data, and `unknown_frame` for a type that
 * fanfare.v1 does not have.
 */
export function parseFrame(value: unknown): Frame {
  if (isPlainPublish(value)) return value as Frame
  const frame = checkFrame(value, FRAMES)
  if (frame) return frame as unknown as Frame
  throw new FanfareError('unknown_frame', `fanfare.v1 has no frame type ${quoted(String((value as Frame).type))}.`)
}
