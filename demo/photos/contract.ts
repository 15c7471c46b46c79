/**
 * The messages that the parts of the photo demo exchange. Each part is a process of its own and an ordinary user of the package; this file is all
 * that they know about each other.
 */

import type { QueueInfo } from 'fanfare/client'

/** A photo in the upload service. Its files are served under `url`. */
export interface Photo {
  readonly id: string
  /** The owner's name for it, made safe. */
  readonly name: string
  readonly type: 'image/jpeg' | 'image/png' | 'image/webp'
  readonly bytes: number
  /** Its URL at the edge: `/photos/<id>/original`. */
  readonly url: string
  /** Who uploaded it: the name of a tab, or `spike`, `stage` (corrupt photos), `elsewhere` (during a cut). */
  readonly by: string
}

/** Widths of the thumbnails. A small photo is not enlarged. */
export const WIDTHS = [160, 480, 1280] as const

/**
 * `POST /photos?by=<tab>`, as multipart: each file in a field named `photos`. The response is JSON, an `UploadAnswer` with one result per file that
 * was read, in the same order. Its status is 200 if at least one file was accepted, and otherwise that of the first refusal. A file that is too
 * large ends the request: the files after it are not read.
 */
export interface UploadAnswer {
  readonly files: readonly UploadResult[]
}

export type UploadResult =
  | { readonly ok: true; readonly photo: Photo }
  /** `message` is in plain words, for the uploader. */
  | { readonly ok: false; readonly name: string; readonly code: Refusal; readonly message: string }

/** Why a file was refused, with the HTTP status. */
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

/** What the page must know before it does anything: `GET /config.json`. */
export interface PageConfig {
  /** HTTP address of the hub's own dashboard. `/fanfare-dashboard` redirects there, too. */
  readonly dashboard: string
  readonly maxUploadBytes: number
  /** Maximum number of files per request. */
  readonly maxFiles: number
}

export interface Thumbnail {
  /** Size of the resulting picture. */
  readonly width: number
  readonly height: number
  readonly url: string
}

export interface Thumbnailed {
  readonly photo: Photo
  readonly thumbnails: readonly Thumbnail[]
  /** The worker that made them, at which attempt, and the duration in milliseconds. */
  readonly worker: string
  readonly attempt: number
  readonly tookMs: number
}

export interface Moderated {
  readonly photo: Pick<Photo, 'id' | 'name'>
  readonly verdict: 'approved' | 'flagged'
  /** The reason, in plain words. */
  readonly why: string
}

/**
 * The latest state of one worker of a service. `stopped`: it was asked to end; `dead`: it was killed, or failed. These two expire after half a
 * minute, and the worker's successor has another name.
 */
export interface WorkerState {
  readonly worker: string
  readonly service: Service
  readonly pid: number
  readonly state: 'starting' | 'idle' | 'working' | 'stopped' | 'dead'
  /** The photo that it is working on, the attempt, and the error of the previous attempt. */
  readonly photo?: string
  readonly attempt?: number
  readonly lastError?: string
}

export const SERVICES = ['upload', 'thumbnails', 'notifications', 'analytics', 'moderation'] as const
export type Service = (typeof SERVICES)[number]

/** The counts of analytics, rebuilt from the stream of photos when it starts. */
export interface Counters {
  readonly uploaded: number
  readonly thumbnailed: number
  readonly bytes: number
  readonly byType: Readonly<Record<string, number>>
  /** Uploads in each of the last sixty seconds, oldest first. */
  readonly perSecond: readonly number[]
  /** The worker that counts, how many messages it read from the log when it started, and the duration in milliseconds. */
  readonly rebuilt: { readonly worker: string; readonly messages: number; readonly tookMs: number }
}

/** How far moderation has read in the stream `photos`. It has read everything when `at` equals `of`. */
export interface Progress {
  readonly at: number
  readonly of: number
  /** Photos judged since it started, and how many of them it flagged. */
  readonly judged: number
  readonly flagged: number
}

/** The maximum number of pictures in one spike. */
export const MAX_SPIKE = 2_000
/** The maximum number of thumbnail workers. More bring no gain on a laptop. */
export const MAX_WORKERS = 6

/** A tab that wants notifications. It repeats this every `FOLLOW_MS`; otherwise it soon expires. */
export interface Follower {
  readonly tab: string
  /** `false`: it no longer wants them. */
  readonly following: boolean
}
/** How often a tab publishes that it follows, and how long that is valid (`expiresAt` of the publish), in milliseconds. */
export const FOLLOW_MS = 10_000
export const FOLLOW_EXPIRES_MS = 30_000

/** The HTTP address of a part. Parts come and go, each time on another port. */
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
  /** To each tab that follows, on a topic of its own: `notifications.<tab>`. Not stored: a closed tab needs none. */
  [notification: `notifications.${string}`]: Notification
  /** `followers.<tab>`: last value, in the stream `followers`, with `expiresAt`. */
  [follower: `followers.${string}`]: Follower
  /** Last value, in the stream `stage`. */
  'analytics.counters': Counters
  /** Last value by worker (its key is the worker's name), in the stream `stage`; each step of the last minutes, in the stream `work`. */
  'stage.workers': WorkerState
  /** Last value, in the stream `stage`. */
  'moderation.progress': Progress
  /** Last value, in the stream `stage`: the delay added to each thumbnail, as set by `stage.slow`. */
  'stage.slowness': { readonly ms: number }
  /** Last value, in the stream `stage`: how many thumbnail workers are kept, as set by `stage.scale`. */
  'stage.scaling': { readonly workers: number | 'auto'; readonly running: number; readonly max: number }
  /** Last value by part (its key), in the stream `stage`. */
  'stage.addresses': Address
  /** The hub's status of the queue, once a second. */
  '$sys.queues.thumbnails': QueueInfo
  /**
   * A count at the requested rate, for the slow subscribers; it continues from one run to the next. Kept by the stream `ticks`, for subscribers
   * with the policy `pause`. The hub's `outboxBytes` is 64 KiB, so the effect of a policy is soon visible.
   */
  'stage.ticks': { readonly n: number; readonly at: number }
}

/**
 * What the stage does on request, with `client.request(topic, data)`. Each request resolves to what was done, or fails with `responder_failed` and
 * a plain sentence.
 */
export interface Requests {
  /** Generates this many pictures and uploads them, as a browser would. Responds when it begins. */
  'stage.spike': { ask: { count: number }; reply: { count: number } }
  /** Uploads a file that starts like a JPEG and ends in the middle: making its thumbnail fails every time. */
  'stage.corrupt': { ask: Record<string, never>; reply: { name: string; photo: string } }
  /** Keeps this many thumbnail workers; `auto` follows the hub's `wantedConsumers`, up to `MAX_WORKERS`. */
  'stage.scale': { ask: { workers: number | 'auto' }; reply: { workers: number | 'auto' } }
  /** Kills (SIGKILL) the named worker, or one that is busy; it is replaced after a moment. */
  'stage.kill': { ask: { worker?: string }; reply: { worker: string; photo: string | undefined } }
  /** Starts or stops a service. Moderation does not start until this is called. */
  'stage.start': { ask: { service: Service }; reply: { service: Service } }
  'stage.stop': { ask: { service: Service }; reply: { service: Service } }
  /** Adds this delay to each thumbnail, in milliseconds, so that one can watch: 0 by default. */
  'stage.slow': { ask: { ms: number }; reply: { ms: number } }
  /** Publishes `stage.ticks` for some seconds. */
  'stage.ticks.start': { ask: { perSecond: number; seconds: number }; reply: { count: number } }
  /**
   * Cuts this tab's connection at the edge and has photos uploaded meanwhile. The tab stays offline for this long, and until all of them are
   * uploaded. Responds before the cut.
   */
  'stage.cut': { ask: { tab: string; ms: number; photos: number }; reply: { ms: number } }
  /** Repairs one corrupt photo, or all of them, so that a redrive of the dead letters succeeds. */
  'stage.mend': { ask: { photo?: string }; reply: { mended: number } }
}
