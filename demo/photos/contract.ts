/**
 * What the parts of the photo demo say to each other. Each part is a process of its own and a plain user of the package;
 * this page is all that they know of one another.
 */

/** A photo as it lies in the upload service. Its files are served under `url`. */
export interface Photo {
  readonly id: string
  /** What its owner called it, made safe. */
  readonly name: string
  readonly type: 'image/jpeg' | 'image/png' | 'image/webp'
  readonly bytes: number
  /** Of the edge: `/photos/<id>/original`. */
  readonly url: string
  /** Who uploaded it: the name of a tab, or `spike`. */
  readonly by: string
}

export interface Thumbnail {
  readonly width: number
  readonly height: number
  readonly url: string
}

export interface Thumbnailed {
  readonly photo: Photo
  readonly thumbnails: readonly Thumbnail[]
  /** The worker that made them, at which attempt, and how long it took in milliseconds. */
  readonly worker: string
  readonly attempt: number
  readonly tookMs: number
}

export interface Moderated {
  readonly photo: Pick<Photo, 'id' | 'name'>
  readonly verdict: 'approved' | 'flagged'
  /** In plain words. */
  readonly why: string
}

/** One worker of a service, as it was last heard of. `dead`: it was killed. */
export interface WorkerState {
  readonly worker: string
  readonly service: Service
  readonly pid: number
  readonly state: 'starting' | 'idle' | 'working' | 'stopped' | 'dead'
  /** The photo that it works on, at which attempt, and how the attempt before this one ended. */
  readonly photo?: string
  readonly attempt?: number
  readonly lastError?: string
}

/** What the stage was last asked for. */
export interface Settings {
  readonly workers: number | 'auto'
  readonly slowMs: number
}

/** The edge's answer to `POST /photos?tab=<name>`, for each file in the order in which they came. */
export type Uploaded =
  | { readonly ok: true; readonly photo: Photo }
  | { readonly ok: false; readonly name: string; readonly code: string; readonly message: string }

/** What the page asks the edge for first, at `GET /config.json`. */
export interface PageConfig {
  readonly dashboard: string
  readonly maxUploadBytes: number
}

export const SERVICES = ['upload', 'thumbnails', 'notifications', 'analytics', 'moderation'] as const
export type Service = (typeof SERVICES)[number]

/** What analytics has counted, rebuilt from the stream of photos when it starts. */
export interface Counters {
  readonly uploaded: number
  readonly thumbnailed: number
  readonly bytes: number
  readonly byType: Readonly<Record<string, number>>
  /** Uploads in each of the last sixty seconds, the oldest first. */
  readonly perSecond: readonly number[]
  /** How many messages it read from the log when it started, and how long that took in milliseconds. */
  readonly rebuilt: { readonly messages: number; readonly tookMs: number }
}

export interface Notification {
  readonly photo: Pick<Photo, 'id' | 'name' | 'by'>
  readonly thumbnail: string
}

export interface Topics {
  /** Kept by the stream `photos`; feeds the queue `thumbnails`. */
  'photos.uploaded': Photo
  /** Kept by the stream `photos`; feeds the queue `notifications`. */
  'photos.thumbnailed': Thumbnailed
  /** Kept by the stream `photos`. */
  'photos.moderated': Moderated
  /** To each tab that follows, under its own name: `notifications.<tab>`. */
  [notification: `notifications.${string}`]: Notification
  /** Last value, in the stream `stage`. */
  'analytics.counters': Counters
  /** Last value by worker (its key is the worker's name), in the stream `stage`. */
  'stage.workers': WorkerState
  /** Last value, in the stream `stage`. */
  'stage.settings': Settings
  /**
   * As fast as was asked for, for the slow subscribers: a count, which goes on from one run to the next. Kept by the stream
   * `ticks`, for those who subscribe with `pause`. The hub's `outboxBytes` is 64 KiB, so that policies are seen to act soon.
   */
  'stage.ticks': { readonly n: number; readonly at: number }
}

/** What the stage does when asked, with `client.request(topic, data)`. Every one answers with what it did. */
export interface Requests {
  /** Generates so many pictures and uploads them through the upload service. */
  'stage.spike': { ask: { count: number }; reply: { count: number } }
  /** Uploads a file that looks like a JPEG and breaks in the middle: its thumbnail fails every time. */
  'stage.corrupt': { ask: Record<string, never>; reply: { name: string } }
  /** Keeps so many thumbnail workers; `auto` follows what the hub says is wanted, up to `max`. */
  'stage.scale': { ask: { workers: number | 'auto' }; reply: { workers: number | 'auto' } }
  /** Kills (SIGKILL) the worker, or the one that works on something now; it is replaced after a moment. */
  'stage.kill': { ask: { worker?: string }; reply: { worker: string; photo: string | undefined } }
  /** Starts or stops a service; moderation is not started before it is asked for. */
  'stage.start': { ask: { service: Service }; reply: { service: Service } }
  'stage.stop': { ask: { service: Service }; reply: { service: Service } }
  /** Makes thumbnails take so much longer, in milliseconds, so that one can watch: 0 by default. */
  'stage.slow': { ask: { ms: number }; reply: { ms: number } }
  /** Publishes `stage.ticks` for some seconds. */
  'stage.ticks.start': { ask: { perSecond: number; seconds: number }; reply: { count: number } }
  /** Cuts this tab's connection at the edge, and keeps the tab offline for so long. */
  'stage.cut': { ask: { tab: string; ms: number }; reply: { ms: number } }
  /** Mends the corrupt photos, so that a redrive of the dead letters succeeds. */
  'stage.mend': { ask: Record<string, never>; reply: { mended: number } }
}
