import type { DeadLetter } from 'fanfare/browser'
import type { Moderated, Photo, Thumbnailed, WorkerState } from '../contract.ts'

/** Something that happened to a photo. */
export interface Step {
  readonly kind: 'uploaded' | 'working' | 'failed' | 'died' | 'ready' | 'notified' | 'judged' | 'dead'
  readonly text: string
}

/** A photo, with all that this page has heard of it. */
export interface PhotoView {
  readonly photo: Photo
  readonly thumbnailed?: Thumbnailed
  readonly moderated?: Moderated
}

/** Photos that are remembered, the newest. */
const MOST = 300

const photos = new Map<string, PhotoView>()
/** By photo. Its worker may be heard of before the photo itself: they come by different streams. */
const steps = new Map<string, Step[]>()

/** As many as the log has told of. */
export const totals = { uploaded: 0, thumbnailed: 0, moderated: 0 }

export function photo(id: string): PhotoView | undefined {
  return photos.get(id)
}

export function journey(id: string): readonly Step[] {
  return steps.get(id) ?? []
}

/** The newest first. */
export function newest(count: number): PhotoView[] {
  return [...photos.values()].slice(-count).reverse()
}

export function uploaded(photo: Photo): void {
  totals.uploaded++
  photos.set(photo.id, { photo })
  // What it has been through before was heard of already, and it stands in front.
  steps.set(photo.id, [{ kind: 'uploaded', text: `Uploaded by ${photo.by}, and queued` }, ...journey(photo.id)])
  for (const map of [photos, steps]) {
    for (const id of map.keys()) {
      if (map.size <= MOST) break
      map.delete(id)
    }
  }
}

export function thumbnailed(event: Thumbnailed): void {
  totals.thumbnailed++
  const view = photos.get(event.photo.id)
  if (view) photos.set(event.photo.id, { ...view, thumbnailed: event })
  const { worker, attempt, tookMs } = event
  add(event.photo.id, 'ready', `Thumbnail by ${worker} (attempt ${attempt}), in ${Math.round(tookMs)} ms`)
}

export function moderated(event: Moderated): void {
  totals.moderated++
  const view = photos.get(event.photo.id)
  if (view) photos.set(event.photo.id, { ...view, moderated: event })
  add(event.photo.id, 'judged', `Moderation: ${event.verdict}. ${event.why}`)
}

export function notified(id: string): void {
  add(id, 'notified', 'This tab was notified')
}

/** A worker of thumbnails has said what it does now; `before` is what it said last. */
export function worked(now: WorkerState, before: WorkerState | undefined): void {
  const attempt = now.attempt ?? 1
  if (now.state === 'working' && now.photo !== undefined) {
    if (now.lastError !== undefined) add(now.photo, 'failed', `Attempt ${attempt - 1} failed: ${now.lastError}`)
    add(now.photo, 'working', `${now.worker} works on it (attempt ${attempt})`)
  }
  if (now.state === 'dead' && before?.state === 'working' && before.photo !== undefined) {
    add(before.photo, 'died', `${now.worker} was killed while it worked on it`)
  }
}

export function died({ message, attempts, error }: DeadLetter): void {
  const { id } = message.data as Photo
  add(id, 'dead', `Given up after ${attempts} attempts: ${error ?? 'no error was told'}`)
}

function add(id: string, kind: Step['kind'], text: string): void {
  const known = journey(id)
  // The last word of a worker comes again with each connection.
  if (!known.some((step) => step.text === text)) steps.set(id, [...known, { kind, text }])
}
