import type { ConnectionState, ConnectionStateReason, DeadLetter, QueueInfo } from 'fanfare/browser'
import {
  type Counters,
  FOLLOW_EXPIRES_MS,
  FOLLOW_MS,
  type Moderated,
  type Notification,
  type PageConfig,
  type Photo,
  type Progress,
  type Thumbnailed,
  type Topics,
  type WorkerState,
} from '../contract.ts'
import { type Away, left } from './away.ts'
import { client, TAB } from './hub.ts'
import * as photos from './photos.ts'

/** The status of the thumbnails queue in one second. */
export interface QueueSecond {
  readonly at: number
  readonly depth: number
  readonly wanted: number
  readonly working: number
}

/** Everything that this page knows and draws. Photos and uploads have files of their own. */
export const store = {
  config: undefined as PageConfig | undefined,
  connection: { state: client.state as ConnectionState, reason: undefined as ConnectionStateReason | undefined },
  /** The latest state of each worker, by name. */
  workers: new Map<string, WorkerState>(),
  scaling: undefined as Topics['stage.scaling'] | undefined,
  slowness: undefined as Topics['stage.slowness'] | undefined,
  thumbnailsQueue: undefined as QueueInfo | undefined,
  notificationsQueue: undefined as QueueInfo | undefined,
  /** The last minutes of the thumbnails queue, one entry per second. */
  history: [] as QueueSecond[],
  letters: [] as DeadLetter[],
  counters: undefined as Counters | undefined,
  progress: undefined as Progress | undefined,
  /** Notifications since this tab was opened, newest first. */
  notices: [] as (Notification & { readonly at: number })[],
  noticed: 0,
  /** Photos of this tab that have just become ready. */
  toasts: [] as Notification[],
  /** What screen readers announce: notifications about this tab's own photos, and not each of them. */
  announced: '',
  /** When a part of the services picture last had something to do. */
  traffic: new Map<string, number>(),
  /** Offset of the newest message of the photos stream that was seen here. */
  seen: -1,
  away: undefined as Away | undefined,
}

const HISTORY_SECONDS = 180
const MOST_NOTICES = 50
/** How long a part of the picture stays lit, in milliseconds. */
export const LIT_MS = 600
/** How long a toast covers the page; the list keeps its text. */
const TOAST_MS = 5000
const ANNOUNCE_MS = 2000

const listeners = new Set<() => void>()

/** Calls `listener` whenever something has changed. Returns a function that stops it. */
export function onChange(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export function changed(): void {
  for (const listener of listeners) listener()
}

/** Something passed through these parts of the picture. */
function lit(...parts: readonly string[]): void {
  for (const part of parts) store.traffic.set(part, Date.now())
  setTimeout(changed, LIT_MS + 10)
}

/** Loads the edge's configuration, subscribes to everything that the page shows, and follows. */
export async function open(): Promise<void> {
  client.onState(({ to, from, reason }) => {
    store.connection = { state: to, reason }
    if (from === 'connected') store.away = left(store.seen)
    changed()
  })
  subscribe()
  follow()
  setInterval(follow, FOLLOW_MS)
  const response = await fetch('config.json')
  if (!response.ok) throw new Error(`The edge responded with ${response.status} when asked for its configuration`)
  store.config = (await response.json()) as PageConfig
  changed()
}

function subscribe(): void {
  // The whole log of photos: this tab counts its messages, and resumes after a cut.
  client.subscribe('photos.#', onPhotos, { stream: 'photos', from: 'earliest', onResubscribed: onReturn })
  client.subscribe('stage.workers', ({ data }) => onWorker(data), {
    stream: 'stage',
    from: 'earliest',
  })
  client.subscribe('stage.workers', ({ data, publishedAt }) => onWork(data, publishedAt), {
    stream: 'work',
    from: 'earliest',
  })
  client.subscribe('stage.scaling', ({ data }) => keep('scaling', data), { stream: 'stage', from: 'earliest' })
  client.subscribe('stage.slowness', ({ data }) => keep('slowness', data), { stream: 'stage', from: 'earliest' })
  client.subscribe('analytics.counters', ({ data }) => onCounters(data), { stream: 'stage', from: 'earliest' })
  client.subscribe('moderation.progress', ({ data }) => keep('progress', data), { stream: 'stage', from: 'earliest' })
  client.subscribe(`notifications.${TAB}`, ({ data, publishedAt }) => onNotification(data, publishedAt))
  client.subscribe('$sys.queues.thumbnails', ({ data }) => onQueue(data))
  client.subscribe('$sys.queues.notifications', ({ data }) => keep('notificationsQueue', data))
}

function keep<Name extends 'scaling' | 'slowness' | 'progress' | 'notificationsQueue'>(
  name: Name,
  data: NonNullable<(typeof store)[Name]>,
): void {
  Object.assign(store, { [name]: data })
  changed()
}

/** The chart moves on each second, but the part lights up only when it has counted something. */
function onCounters(counters: Counters): void {
  const { uploaded, thumbnailed } = store.counters ?? {}
  if (counters.uploaded !== uploaded || counters.thumbnailed !== thumbnailed) lit('analytics')
  store.counters = counters
  changed()
}

interface PhotosMessage {
  readonly topic: string
  readonly data: unknown
  readonly offsets?: Readonly<Record<string, number>>
  readonly publishedAt?: number
}

function onPhotos(message: PhotosMessage): void {
  const { topic, publishedAt: at = Date.now() } = message
  const offset = message.offsets?.['photos'] as number
  store.seen = offset
  if (store.away?.until !== undefined) store.away.came.set(offset, topic === 'photos.uploaded')
  lit('stream')
  switch (topic) {
    case 'photos.uploaded':
      photos.uploaded(message.data as Photo, at)
      lit('upload', 'photos.uploaded', 'queue')
      break
    case 'photos.thumbnailed':
      photos.thumbnailed(message.data as Thumbnailed, at)
      lit('thumbnails', 'photos.thumbnailed', 'notifications-queue')
      break
    case 'photos.moderated':
      photos.moderated(message.data as Moderated, at)
      lit('moderation', 'photos.moderated')
      break
  }
  changed()
}

/** After a cut: the log's current end and the end when this tab was disconnected give the number of missed messages. */
function onReturn({ recovered }: { readonly recovered: boolean }): void {
  const away = store.away
  if (!away) return
  away.until = Date.now()
  away.recovered = recovered
  changed()
  // A second cut at this moment rejects the call, and begins another absence.
  client.admin.streams.show('photos').then(
    ({ next }) => {
      away.end = next
      changed()
    },
    (error: unknown) => console.warn(error),
  )
}

function onWork(now: WorkerState, at = Date.now()): void {
  photos.worked(now, at)
  changed()
}

function onWorker(now: WorkerState): void {
  store.workers.set(now.worker, now)
  if (now.state === 'working') lit(now.service)
  // They expire in the log after half a minute, and so they do here.
  if (now.state === 'dead' || now.state === 'stopped') {
    setTimeout(() => {
      if (store.workers.get(now.worker) === now) store.workers.delete(now.worker)
      changed()
    }, 30_000)
  }
  changed()
}

function onQueue(info: QueueInfo): void {
  const before = store.thumbnailsQueue
  // If one is redriven and another is dead-lettered in the same second, their number stays the same.
  const others = info.deadLetters !== before?.deadLetters || info.redeliveredTotal !== before.redeliveredTotal
  store.thumbnailsQueue = info
  const working = workersOf('thumbnails').filter(({ state }) => state === 'working').length
  store.history.push({
    at: Date.now() / 1000,
    depth: info.depth + info.inFlight,
    wanted: info.wantedConsumers,
    working,
  })
  if (store.history.length > HISTORY_SECONDS) store.history.shift()
  if (others) void loadLetters().catch((error: unknown) => console.warn(error))
  changed()
}

export async function loadLetters(): Promise<void> {
  store.letters = await client.admin.queues.deadLetters.list('thumbnails', {}, { limit: 1000 })
  photos.buried(store.letters)
  changed()
}

function onNotification(data: Notification, at = Date.now()): void {
  store.noticed++
  store.notices = [{ ...data, at }, ...store.notices].slice(0, MOST_NOTICES)
  photos.notified(data.photo.id, at)
  lit('notifications', 'tab')
  if (data.photo.by === TAB) announce(data)
  changed()
}

let toAnnounce = 0

/** Shows and announces photos of this tab: shows each, announces at most once per `ANNOUNCE_MS`. */
function announce(data: Notification): void {
  store.toasts = [...store.toasts, data]
  setTimeout(() => {
    store.toasts = store.toasts.filter((each) => each !== data)
    changed()
  }, TOAST_MS)
  if (toAnnounce++ > 0) return
  setTimeout(() => {
    store.announced =
      toAnnounce === 1 ? `Your photo ${data.photo.name} is ready` : `${toAnnounce} of your photos are ready`
    toAnnounce = 0
    changed()
  }, ANNOUNCE_MS)
}

/** Publishes that this tab follows. It expires, so nothing has to be cleaned up after a closed tab. */
function follow(): void {
  client
    .publish(`followers.${TAB}`, { tab: TAB, following: true }, { expiresAt: Date.now() + FOLLOW_EXPIRES_MS })
    // It is soon repeated.
    .catch((error: unknown) => console.warn(error))
}

export function workersOf(service: WorkerState['service']): WorkerState[] {
  return [...store.workers.values()].filter((worker) => worker.service === service)
}
