import type { StreamInfo } from '../../../shared/streams.ts'
import type { ComposedBlock } from './composed-block.ts'
import { type StreamCursors, shownCursors } from './stream-cursors.ts'
import type { StreamMirror } from './stream-mirror.ts'
import type { StreamReads } from './stream-reads.ts'

/** Cursors that the status of a stream shows; there may be thousands. */
const SHOWN_CURSORS = 100

/** What operators see of streams. */
export class StreamInfos {
  private readonly reads: StreamReads
  private readonly cursors: StreamCursors

  constructor(reads: StreamReads, cursors: StreamCursors) {
    this.reads = reads
    this.cursors = cursors
  }

  async of(mirror: StreamMirror): Promise<StreamInfo> {
    const { options, epoch, first, next, bytes, newestTime, cursorCount } = mirror
    const isEmpty = first >= next
    const oldest = isEmpty ? undefined : await this.reads.read(mirror, first)
    const at = oldest ? Math.min(oldest.find(first), oldest.count - 1) : 0
    const stale = oldest && options.lastValue ? await this.staleIn(mirror, oldest) : 0
    const cursors = shownCursors(await this.cursors.page(mirror, { limit: SHOWN_CURSORS }))
    const times = { oldestAt: oldest?.time(at), newestAt: isEmpty ? undefined : newestTime }
    return {
      ...options,
      epoch,
      first,
      next,
      messages: mirror.countMessages(stale),
      bytes,
      ...times,
      cursorCount,
      cursors,
    }
  }

  /** Values in the oldest block that cannot be read any more, though no newer one has replaced them. */
  private async staleIn(mirror: StreamMirror, oldest: ComposedBlock): Promise<number> {
    if (oldest.firstOffset >= mirror.first) return 0
    const standing = await this.reads.standing(mirror, oldest.valueNames)
    return standing.slice(0, oldest.find(mirror.first)).filter((offset, at) => offset === oldest.offset(at)).length
  }
}
