/**
 * What the parts of the photo demo say to each other. Each part is a process of its own and a plain user of the package;
 * this page is all that they know of one another.
 */

import type { QueueInfo } from 'fanfare/client'

/** A photo as it lies in the upload service. Its files are served under `url`. */
export interface Photo {
  readonly id: string
  /** What its owner called it, made safe. */
  readonly name: string
  readonly type: 'image/jpeg' | 'image/png' | 'image/webp'
  readonly bytes: number
  /** Of the edge: `/photos/<id>/original`. */
  readonly url: string
  /** Who uploaded it: the name of a tab, or `spike`, `stage` (corrupt photos), `elsewhere` (during a cut). */
  readonly by: string
}

/** Widths of the thumbnails; a small photo is not made larger. */
export const WIDTHS = [160, 480, 1280] as const

/**
 * `POST /photos?by=<tab>`, as multipart: each file in a field of the name `photos`. The answer is JSON, an
 * `UploadAnswer` with one result for each file that was read, in their order; its status is 200 where at least one was
 * taken, and otherwise that of the first refusal. A file that is too large ends the request: nothing behind it is read.
 */
export interface UploadAnswer {
  readonly files: readonly UploadResult[]
}

export type UploadResult =
  | { readonly ok: true; readonly photo: Photo }
  /** `message` is in plain words, for the one who uploads. */
  | { readonly ok: false; readonly name: string; readonly code: Refusal; readonly message: string }

/** Why a file was not taken, with the HTTP status. */
export const REFUSALS = {
  empty: 400,
  no_file: 400,
  not_multipart: 400,
  wrong_field: 400,
  cut_short: 400,
  too_large: 413,
  too_many_files: 413,
  too_many_pixels: 413,
  not_a_picture: 415,
  unreadable: 422,
  failed: 500,
  unavailable: 503,
  storage_full: 507,
} as const
export type Refusal = keyof typeof REFUSALS

/** What the page has to know before it does anything: `GET /config.json`. */
export interface PageConfig {
  /** Where the hub's own dashboard is: its HTTP address. `/fanfare-dashboard` leads there too. */
  readonly dashboard: string
  readonly maxUploadBytes: number
  /** Most files in one request. */
  readonly maxFiles: number
}

export interface Thumbnail {
  /** Of the picture as it came out. */
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

/**
 * One worker of a service, as it was last heard of. `stopped`: it was told to end; `dead`: it was killed, or failed. These
 * two are forgotten (expire) half a minute later, and its successor has another name.
 */
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
  /** The worker that counts, how many messages it read from the log when it started, and how long that took in milliseconds. */
  readonly rebuilt: { readonly worker: string; readonly messages: number; readonly tookMs: number }
}

/** How far moderation has read in the stream `photos`; it is through when `at` is `of`. */
export interface Progress {
  readonly at: number
  readonly of: number
  /** Photos that it has judged since it started, and how many of them it flagged. */
  readonly judged: number
  readonly flagged: number
}

/** The maximum number of pictures in one spike. */
export const MAX_SPIKE = 2_000
/** The maximum number of thumbnail workers. More would gain nothing on a laptop. */
export const MAX_WORKERS = 6

/** A tab that wants notifications. It says so again every `FOLLOW_MS`, or it is forgotten soon. */
export interface Follower {
  readonly tab: string
  /** `false`: it no longer wants them. */
  readonly following: boolean
}
/** How often a tab says that it follows, and how long that counts (`expiresAt` of the publish), in milliseconds. */
export const FOLLOW_MS = 10_000
export const FOLLOW_EXPIRES_MS = 30_000

/** Where a part is reached over HTTP, for those who have to know: parts come and go, each time on another port. */
export interface Address {
  readonly part: 'edge' | 'upload'
  readonly url: string
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
  /** To each tab that follows, under its own name: `notifications.<tab>`. Nothing keeps it: a closed tab needs none. */
  [notification: `notifications.${string}`]: Notification
  /** `followers.<tab>`: last value, in the stream `followers`, with `expiresAt`. */
  [follower: `followers.${string}`]: Follower
  /** Last value, in the stream `stage`. */
  'analytics.counters': Counters
  /** Last value by worker (its key is the worker's name), in the stream `stage`; each step of the last minutes, in the stream `work`. */
  'stage.workers': WorkerState
  /** Last value, in the stream `stage`. */
  'moderation.progress': Progress
  /** Last value, in the stream `stage`: how much longer a thumbnail takes, as `stage.slow` was asked for. */
  'stage.slowness': { readonly ms: number }
  /** Last value, in the stream `stage`: how many thumbnail workers are kept, as `stage.scale` was asked for. */
  'stage.scaling': { readonly workers: number | 'auto'; readonly running: number; readonly max: number }
  /** Last value by part (its key), in the stream `stage`. */
  'stage.addresses': Address
  /** What the hub says of the queue, once a second. */
  '$sys.queues.thumbnails': QueueInfo
  /**
   * As fast as was asked for, for the slow subscribers: a count, which goes on from one run to the next. Kept by the stream
   * `ticks`, for those who subscribe with `pause`. The hub's `outboxBytes` is 64 KiB, so that policies are seen to act soon.
   */
  'stage.ticks': { readonly n: number; readonly at: number }
}

/**
 * What the stage does when asked, with `client.request(topic, data)`. Every one answers with what it did, or fails with
 * `responder_failed` and a plain sentence.
 */
export interface Requests {
  /** Generates this many pictures and uploads them, as a browser would. Answers when it begins. */
  'stage.spike': { ask: { count: number }; reply: { count: number } }
  /** Uploads a file that looks like a JPEG and breaks in the middle: its thumbnail fails every time. */
  'stage.corrupt': { ask: Record<string, never>; reply: { name: string; photo: string } }
  /** Keeps this many thumbnail workers; `auto` follows the hub's `wantedConsumers`, up to `MAX_WORKERS`. */
  'stage.scale': { ask: { workers: number | 'auto' }; reply: { workers: number | 'auto' } }
  /** Kills (SIGKILL) the worker, or the one that works on something now; it is replaced after a moment. */
  'stage.kill': { ask: { worker?: string }; reply: { worker: string; photo: string | undefined } }
  /** Starts or stops a service; moderation is not started before it is asked for. */
  'stage.start': { ask: { service: Service }; reply: { service: Service } }
  'stage.stop': { ask: { service: Service }; reply: { service: Service } }
  /** Makes each thumbnail take this much longer, in milliseconds, so that one can watch: 0 by default. */
  'stage.slow': { ask: { ms: number }; reply: { ms: number } }
  /** Publishes `stage.ticks` for some seconds. */
  'stage.ticks.start': { ask: { perSecond: number; seconds: number }; reply: { count: number } }
  /**
   * Cuts this tab's connection at the edge and has photos uploaded meanwhile. The tab stays offline for this long, and until
   * all of them are uploaded. Answers before the cut.
   */
  'stage.cut': { ask: { tab: string; ms: number; photos: number }; reply: { ms: number } }
  /** Mends one corrupt photo, or all of them, so that a redrive of the dead letters succeeds. */
  'stage.mend': { ask: { photo?: string }; reply: { mended: number } }
}
