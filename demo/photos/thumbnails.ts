/**
 * Makes thumbnails: takes one photo at a time from the queue. The ack and the publish of the result are one step, and files are written completely
 * or not at all. So a worker may be killed at any moment: another one repeats the photo, and no subscriber sees it twice.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Delivery } from 'fanfare/client'
import sharp from 'sharp'
import { MAX_PIXELS } from './check-picture.ts'
import { type Photo, type Thumbnail, type Thumbnailed, WIDTHS } from './contract.ts'
import { reporter, takePart } from './part.ts'
import { originalOf, thumbnailOf, writeWhole } from './photo-files.ts'

/** The longest time that one picture may take, in seconds: some are made to take very long. */
const TIMEOUT_S = 10

// One photo at a time and one thread each: the demo scales by workers.
sharp.concurrency(1)
sharp.cache(false)

const part = takePart()
const { client, worker, photos } = part
const report = reporter(part, 'thumbnails')

let slowMs = 0
const slowness = client.subscribe(
  'stage.slowness',
  ({ data }) => {
    slowMs = data.ms
  },
  { stream: 'stage', from: 'earliest' },
)
await slowness.ready

const work = client.consume<Photo>('thumbnails', thumbnail, { prefetch: 1 })
part.onStop(() => work.close())
await work.ready
report()

async function thumbnail(delivery: Delivery<Photo>): Promise<void> {
  const started = Date.now()
  const photo = delivery.data
  report({ photo: photo.id, attempt: delivery.attempt, lastError: delivery.lastError })
  try {
    await sleep(slowMs)
    const thumbnails: Thumbnail[] = []
    for (const width of WIDTHS) thumbnails.push(await resize(photo, width))
    const { attempt } = delivery
    const done: Thumbnailed = { photo, thumbnails, worker, attempt, tookMs: Date.now() - started }
    await delivery.ack({ publish: [{ topic: 'photos.thumbnailed', data: done, id: `${photo.id}.thumbnailed` }] })
  } catch (error) {
    if (delivery.settled) throw error
    // In plain words: it is shown in the dead letters.
    await delivery.nack({ error: `No thumbnail of ${photo.name}: ${(error as Error).message}` })
  } finally {
    report()
  }
}

async function resize(photo: Photo, width: number): Promise<Thumbnail> {
  const { width: got, height } = await writeWhole(thumbnailOf(photos, photo.id, width), (to) =>
    sharp(originalOf(photos, photo), { limitInputPixels: MAX_PIXELS })
      .autoOrient()
      .resize(width, width, { fit: 'inside', withoutEnlargement: true })
      // Twice as fast as the default, and slightly larger.
      .webp({ effort: 1 })
      .timeout({ seconds: TIMEOUT_S })
      .toFile(to),
  )
  return { width: got, height, url: `/photos/${photo.id}/${width}` }
}
