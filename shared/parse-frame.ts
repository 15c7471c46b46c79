import { CONTENT_FRAMES, isPlainPublish, SETTLEMENT } from './content-frames.ts'
import { quoted } from './error-text.ts'
import { FanfareError } from './fanfare-error.ts'
import { TOKEN } from './field-rules.ts'
import type { ClientFrame, Frame } from './frames.ts'
import { HUB_FRAMES } from './hub-frame-rules.ts'
import { BOOLEAN, checkFrame, LIST, NUMBER, optional, type Rules, unknownField } from './rules.ts'

/** The fields of each type of frame of a client. Absent optional fields are fine; wrong ones and unknown ones are not. */
const CLIENT_FRAMES: Record<ClientFrame['type'], Rules> = {
  ...CONTENT_FRAMES,
  // Those that a client makes of nothing but its own numbers.
  ...({
    auth: { seq: NUMBER, token: TOKEN },
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
 * copied. Throws `bad_frame` for a wrong shape and for an unknown field of a client's frame, `forbidden_key`, `nested_too_deeply` for its
 * data, and `unknown_frame` for a type that fanfare.v1 does not have.
 */
export function parseFrame(value: unknown): Frame {
  if (isPlainPublish(value)) return value as Frame
  const ofClient = checkFrame(value, CLIENT_FRAMES)
  if (ofClient) {
    const type = ofClient['type'] as ClientFrame['type']
    const fault = unknownField(type, ofClient, CLIENT_FRAMES[type])
    if (fault) throw new FanfareError('bad_frame', fault)
    return ofClient as unknown as Frame
  }
  // Clients take unknown fields: a later hub may send more.
  const ofHub = checkFrame(value, HUB_FRAMES)
  if (ofHub) return ofHub as unknown as Frame
  throw new FanfareError('unknown_frame', `fanfare.v1 has no frame type ${quoted(String((value as Frame).type))}.`)
}
