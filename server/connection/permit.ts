import type { Frame } from '../../shared/frames.ts'
import type { Access } from '../auth/access.ts'
import type { Streams } from '../stream/streams.ts'

/** Checks the permission for a frame. Calls are checked with their methods. Throws `forbidden`. */
export function permit(access: Access, frame: Frame, streams: Streams): void {
  switch (frame.type) {
    case 'publish':
    case 'ask':
      return access.require('publish', frame.topic)
    case 'ack':
      for (const { topic } of frame.publish ?? []) access.require('publish', topic)
      return
    case 'subscribe':
      access.require('subscribe', frame.pattern)
      if (frame.cursor !== undefined) access.requireCursor(frame.cursor, streams.topicsOf(streams.streamFor(frame)))
      return
    case 'respond':
      return access.require('respond', frame.pattern)
    case 'consume':
      return access.require('consume', frame.queue)
  }
}
