import { mkdir, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'fanfare/client'
import type { Photo, Topics, UploadAnswer } from './contract.ts'
import { folderOf, originalOf, writeWhole } from './photo-files.ts'
import { corruptPicture, finePicture, picture } from './pictures.ts'

/** What the stage does on behalf of the page; each of these is an ordinary user of the parts. */

/** Parallel uploads. */
const AT_ONCE = 8
/** Interval at which the due ticks are published, in milliseconds. */
const TICK_MS = 20

/** Uploads this many pictures through the edge, as browsers would; resolves when all are uploaded. */
export async function uploadMany(edge: string, count: number, signal: AbortSignal, by = 'spike'): Promise<void> {
  let next = 0
  const uploader = async () => {
    while (next < count) {
      const n = next++
      await upload(edge, by, `${by}-${`${n + 1}`.padStart(3, '0')}.jpg`, await picture(n), signal)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, uploader))
}

let corrupt = 0

/** Uploads a picture that cannot be decoded. */
export async function uploadCorrupt(edge: string, signal: AbortSignal): Promise<Photo> {
  return upload(edge, 'stage', `corrupt-${++corrupt}.jpg`, await corruptPicture(), signal)
}

/** Replaces each of the chosen unreadable pictures with a good one. Returns how many there were. */
export async function mend(
  client: Client<Topics>,
  photos: string,
  known: readonly Photo[],
  isMeant: (photo: Photo) => boolean,
): Promise<number> {
  const letters = await client.admin.queues.deadLetters.list('thumbnails', { reason: 'attempts' }, { limit: 1000 })
  const broken = [...known, ...letters.map(({ message }) => message.data as Photo)].filter(isMeant)
  const byId = new Map(broken.map((photo) => [photo.id, photo]))
  for (const photo of byId.values()) {
    const fine = await finePicture(photo.type)
    await mkdir(folderOf(photos, photo.id), { recursive: true })
    await writeWhole(originalOf(photos, photo), (to) => writeFile(to, fine))
  }
  return byId.size
}

let ticks = 0

/** Publishes ticks at this rate for this long. If the hub is slower, they are published as fast as it accepts them. */
export async function tick(client: Client<Topics>, perSecond: number, seconds: number, signal: AbortSignal) {
  const started = Date.now()
  const count = perSecond * seconds
  for (let sent = 0; sent < count && !signal.aborted; await sleep(TICK_MS)) {
    const due = Math.min(count, Math.ceil(((Date.now() - started) / 1000) * perSecond))
    const publishing: Promise<unknown>[] = []
    for (; sent < due; sent++) publishing.push(client.publish('stage.ticks', { n: ++ticks, at: Date.now() }))
    await Promise.all(publishing)
  }
}

async function upload(edge: string, by: string, name: string, bytes: Buffer, signal: AbortSignal): Promise<Photo> {
  const form = new FormData()
  form.append('photos', new Blob([new Uint8Array(bytes)]), name)
  const response = await fetch(`${edge}/photos?by=${by}`, { method: 'POST', body: form, signal })
  const { files } = (await response.json()) as UploadAnswer
  const [result] = files
  if (result?.ok) return result.photo
  throw new Error(result?.message ?? `The upload failed with HTTP status ${response.status}`)
}
