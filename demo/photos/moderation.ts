/**
 * Judges each photo. It is started when everything else has been running for a while, and no other part has to know: the earlier photos are in the
 * stream. It reads with a cursor, so it resumes where it stopped.
 */
import type { Message } from 'fanfare/client'
import sharp from 'sharp'
import { MAX_PIXELS } from './check-picture.ts'
import type { Moderated, Photo } from './contract.ts'
import { reporter, takePart, unlessClosed } from './part.ts'
import { originalOf } from './photo-files.ts'

/** Mean brightness, of 255. */
const DARK = 25
/** Standard deviation of each colour's pixels, of 255. */
const PLAIN = 4
/** The shortest time between two publishes of the progress, in milliseconds. */
const PROGRESS_MS = 200

sharp.concurrency(1)

const part = takePart()
const { client } = part
const report = reporter(part, 'moderation')

let at = 0
let judged = 0
let flagged = 0
let published = -1

// Subscribes to all topics of the stream, so that its position is exact.
const photos = client.subscribe('photos.#', moderate, { stream: 'photos', cursor: 'moderation', from: 'earliest' })
part.onStop(() => photos.unsubscribe())
await photos.ready
report()
await progress()
const timer = setInterval(() => void progress().catch(unlessClosed), PROGRESS_MS)
part.onStop(() => clearInterval(timer))

async function moderate({ topic, data, offsets = {} }: Message): Promise<void> {
  if (topic === 'photos.uploaded') {
    const photo = data as Photo
    report({ photo: photo.id })
    const moderated: Moderated = { photo: { id: photo.id, name: photo.name }, ...(await judge(photo)) }
    await client.publish('photos.moderated', moderated, { id: `${photo.id}.moderated` })
    judged++
    if (moderated.verdict === 'flagged') flagged++
    report()
  }
  at = (offsets['photos'] ?? 0) + 1
}

async function judge(photo: Photo): Promise<Pick<Moderated, 'verdict' | 'why'>> {
  try {
    const small = await sharp(originalOf(part.photos, photo), { limitInputPixels: MAX_PIXELS })
      .resize(64, 64, { fit: 'inside' })
      .flatten()
      .toColourspace('srgb')
      .raw()
      .toBuffer({ resolveWithObject: true })
    const { channels } = await sharp(small.data, { raw: small.info }).stats()
    const mean = channels.reduce((sum, each) => sum + each.mean, 0) / channels.length
    if (mean < DARK) return { verdict: 'flagged', why: 'It is almost black.' }
    if (channels.every(({ stdev }) => stdev < PLAIN))
      return { verdict: 'flagged', why: 'It is almost entirely one colour.' }
    return { verdict: 'approved', why: 'There is something to see.' }
  } catch (error) {
    return { verdict: 'flagged', why: `It cannot be read: ${(error as Error).message}` }
  }
}

/** Only when it has changed. */
async function progress(): Promise<void> {
  if (at === published) return
  const { next } = await client.admin.streams.show('photos')
  published = at
  await client.publish('moderation.progress', { at, of: next, judged, flagged })
}
