import type { StreamInfo } from '../../../shared/streams.ts'
import type { ComposedBlock } from './composed-block.ts'
import { ifDamaged } from './damage.ts'
import { type StreamCursors, shownCursors } from './stream-cursors.ts'
import type { StreamMirror } from './stream-mirror.ts'
import type { StreamReads } from './stream-reads.ts'

/** Cursors that the status of a stream shows; there may be thousands. */
const SHOWN_CURSORS = 100

/** What has to be read to show a stream. */
interface Look {
  readonly oldestAt: number | undefined
  readonly stale: number
  readonly cursors: StreamInfo['cursors']
}

const NOTHING: Look = { oldestAt: undefined, stale: 0, cursors: {} }

/** What operators see of streams. */
export class StreamInfos {
  private readonly reads: StreamReads
  private readonly cursors: StreamCursors
  /** The last one of each, for when Redis does not answer. */
  private readonly looks = new WeakMap<StreamMirror, Look>()

  constructor(reads: StreamReads, cursors: StreamCursors) {
    this.reads = reads
    this.cursors = cursors
  }

  of(mirror: StreamMirror): Promise<StreamInfo> {
    return this.reads.orSeen(
      async () => {
        // A block that is damaged hides its times only.
        const look = (await this.look(mirror).catch(ifDamaged)) ?? NOTHING
        this.looks.set(mirror, look)
        return infoOf(mirror, look)
      },
      () => infoOf(mirror, this.looks.get(mirror) ?? NOTHING),
    )
  }

  private async look(mirror: StreamMirror): Promise<Look> {
    const { options, first, next } = mirror
    const oldest = first >= next ? undefined : await this.reads.read(mirror, first).catch(ifDamaged)
    const at = oldest ? Math.min(oldest.find(first), oldest.count - 1) : 0
    const stale = oldest && options.lastValue ? await this.staleIn(mirror, oldest) : 0
    const cursors = shownCursors(await this.cursors.page(mirror, { limit: SHOWN_CURSORS }))
    return { oldestAt: oldest?.time(at), stale, cursors }
  }

  /** Values in the oldest block that cannot be read any more, though no newer one has replaced them. */
  private async staleIn(mirror: StreamMirror, oldest: ComposedBlock): Promise<number> {
    if (oldest.firstOffset >= mirror.first) return 0
    const standing = await this.reads.standing(mirror, oldest.valueNames)
    return standing.slice(0, oldest.find(mirror.first)).filter((offset, at) => offset === oldest.offset(at)).length
  }
}

function infoOf(mirror: StreamMirror, { oldestAt, stale, cursors }: Look): StreamInfo {
  const { options, epoch, first, next, bytes, newestTime, cursorCount } = mirror
  const times = first >= next ? { oldestAt: undefined, newestAt: undefined } : { oldestAt, newestAt: newestTime }
  const messages = mirror.countMessages(stale)
  return { ...options, epoch, first, next, messages, bytes, ...times, cursorCount, cursors }
}
