/**
 * Counts photos. It stores nothing: when it starts, it reads the stream from the beginning and gets the same figures as before, however often it
 * was killed.
 */
import type { Counters, Photo } from './contract.ts'
import { reporter, takePart, unlessClosed } from './part.ts'

/** The shortest time between two publishes of the counters, in milliseconds. */
const PUBLISH_MS = 250
/** Length of the chart, in seconds. */
const SECONDS = 60

const part = takePart()
const { client, worker } = part
const report = reporter(part, 'analytics')

let uploaded = 0
let thumbnailed = 0
let bytes = 0
const byType: Record<string, number> = {}
/** Uploads of the last minute, by second since 1970. */
const bySecond = new Map<number, number>()
let rebuilt: Counters['rebuilt'] | undefined
let published = ''

const started = Date.now()
const { first, next } = await client.admin.streams.show('photos')
let read = 0
if (first === next) begin()

const photos = client.subscribe(
  'photos.#',
  ({ topic, data, publishedAt = 0, offsets = {} }) => {
    if (topic === 'photos.uploaded') countUpload(data as Photo, publishedAt)
    else if (topic === 'photos.thumbnailed') thumbnailed++
    read++
    if (!rebuilt && (offsets['photos'] ?? 0) >= next - 1) begin()
  },
  { stream: 'photos', from: 'earliest' },
)
await photos.ready
const timer = setInterval(publish, PUBLISH_MS)
part.onStop(() => clearInterval(timer))

function countUpload(photo: Photo, publishedAt: number): void {
  uploaded++
  bytes += photo.bytes
  byType[photo.type] = (byType[photo.type] ?? 0) + 1
  const second = Math.floor(publishedAt / 1000)
  bySecond.set(second, (bySecond.get(second) ?? 0) + 1)
}

function begin(): void {
  rebuilt = { worker, messages: read, tookMs: Date.now() - started }
  report()
}

/** Publishes complete counters only, and only when they have changed. */
function publish(): void {
  if (!rebuilt) return
  const counters: Counters = { uploaded, thumbnailed, bytes, byType, perSecond: perSecond(), rebuilt }
  const text = JSON.stringify(counters)
  if (text === published) return
  published = text
  client.publish('analytics.counters', counters).catch(unlessClosed)
}

function perSecond(): number[] {
  const now = Math.floor(Date.now() / 1000)
  for (const second of bySecond.keys()) if (second <= now - SECONDS) bySecond.delete(second)
  return Array.from({ length: SECONDS }, (_, at) => bySecond.get(now - SECONDS + 1 + at) ?? 0)
}
