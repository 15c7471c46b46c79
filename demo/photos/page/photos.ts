import type { DeadLetter } from 'fanfare/browser'
import type { Moderated, Photo, Thumbnailed, WorkerState } from '../contract.ts'

/** Something that happened to a photo. */
export interface Step {
  readonly kind: 'uploaded' | 'working' | 'failed' | 'died' | 'redriven' | 'ready' | 'notified' | 'judged' | 'dead'
  readonly text: string
  /** When the hub received it, in milliseconds since 1970. */
  readonly at: number
}

/** A photo, with everything that this page knows about it. */
export interface PhotoView {
  readonly photo: Photo
  /** When it was uploaded, in milliseconds since 1970. */
  readonly at: number
  readonly thumbnailed?: Thumbnailed
  readonly moderated?: Moderated
}

/** Photos to remember, newest first: more than two spikes, so that a photo that waits long is still known. */
const MOST = 5000
/** Steps of a photo to remember, newest first: it may be redriven again and again. */
const MOST_STEPS = 40

const photos = new Map<string, PhotoView>()
/** By photo. Its worker may be known before the photo itself: they arrive on different streams. */
const steps = new Map<string, Step[]>()
/** The latest state of each thumbnail worker. */
const workers = new Map<string, WorkerState>()
/** When the newest known attempt at a photo ended. */
const ended = new Map<string, { readonly attempt: number; readonly at: number }>()
/** Photos among the dead letters. */
let dead: ReadonlySet<string> = new Set()

/** Totals of the log so far; a photo that is judged twice counts once. */
export const totals = { uploaded: 0, thumbnailed: 0, moderated: 0, flagged: 0 }

export function photo(id: string): PhotoView | undefined {
  return photos.get(id)
}

export function journey(id: string): readonly Step[] {
  return steps.get(id) ?? []
}

/** All remembered photos, newest first. */
export function newest(): PhotoView[] {
  return [...photos.values()].reverse()
}

export function isGivenUp(id: string): boolean {
  return dead.has(id)
}

export function uploaded(photo: Photo, at: number): void {
  totals.uploaded++
  photos.set(photo.id, { photo, at })
  add(photo.id, 'uploaded', `Uploaded by ${photo.by}, and queued`, at)
  for (const map of [photos, steps, ended]) {
    for (const id of map.keys()) {
      if (map.size <= MOST) break
      map.delete(id)
    }
  }
}

export function thumbnailed(event: Thumbnailed, at: number): void {
  const view = photos.get(event.photo.id)
  if (!view?.thumbnailed) totals.thumbnailed++
  if (view) photos.set(event.photo.id, { ...view, thumbnailed: event })
  const { worker, attempt, tookMs } = event
  add(event.photo.id, 'ready', `Thumbnail by ${worker} (attempt ${attempt}), in ${Math.round(tookMs)} ms`, at)
}

export function moderated(event: Moderated, at: number): void {
  const view = photos.get(event.photo.id)
  if (!view?.moderated) {
    totals.moderated++
    if (event.verdict === 'flagged') totals.flagged++
  }
  if (view) photos.set(event.photo.id, { ...view, moderated: event })
  add(event.photo.id, 'judged', `Moderation: ${event.verdict}. ${event.why}`, at)
}

export function notified(id: string, at: number): void {
  add(id, 'notified', 'This tab was notified', at)
}

/** A worker has reported what it does now: each step, in order. */
export function worked(now: WorkerState, at: number): void {
  if (now.service !== 'thumbnails') return
  const before = workers.get(now.worker)
  if (now.state === 'dead' || now.state === 'stopped') workers.delete(now.worker)
  else workers.set(now.worker, now)
  const attempt = now.attempt ?? 1
  if (before?.photo !== undefined && before.photo !== now.photo) {
    ended.set(before.photo, { attempt: before.attempt ?? 1, at })
  }
  if (now.state === 'working' && now.photo !== undefined) {
    const last = journey(now.photo).findLast(
      (step) => step.at <= at && (step.kind === 'dead' || step.kind === 'working'),
    )
    if (attempt === 1 && last?.kind === 'dead') {
      add(now.photo, 'redriven', 'Redriven: back in the queue, with new attempts', at)
    }
    if (now.lastError !== undefined) {
      const end = ended.get(now.photo)
      const failedAt = end?.attempt === attempt - 1 ? end.at : at
      add(now.photo, 'failed', `Attempt ${attempt - 1} failed: ${now.lastError}`, failedAt)
    }
    add(now.photo, 'working', `${now.worker} works on it (attempt ${attempt})`, at)
  }
  if (now.state === 'dead' && before?.state === 'working' && before.photo !== undefined) {
    add(before.photo, 'died', `${now.worker} was killed while working on it`, at)
  }
}

/** All current dead letters. */
export function buried(letters: readonly DeadLetter[]): void {
  dead = new Set(letters.map(({ message }) => (message.data as Photo).id))
  for (const { message, attempts, error, diedAt } of letters) {
    const { id } = message.data as Photo
    add(id, 'dead', `Given up after ${attempts} attempts: ${error ?? 'no error was reported'}`, diedAt)
  }
}

/** In the order in which things happened, whichever arrives first. */
function add(id: string, kind: Step['kind'], text: string, at: number): void {
  const known = journey(id)
  // A worker's last message arrives again with each connection.
  if (known.some((step) => step.at === at && step.text === text)) return
  const place = known.findLastIndex((step) => step.at <= at) + 1
  steps.set(id, known.toSpliced(place, 0, { kind, text, at }).slice(-MOST_STEPS))
}
