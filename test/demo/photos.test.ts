import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Client } from '../../client/node.ts'
import type {
  Counters,
  Moderated,
  Notification,
  Photo,
  Progress,
  Requests,
  Thumbnailed,
  Topics,
  UploadAnswer,
  WorkerState,
} from '../../demo/photos/contract.ts'
import { Heard, PhotoDemo } from '../setup/photo-demo.ts'
import { decompressionBomb, picture } from '../setup/pictures.ts'

const MB = 1024 * 1024
/** On a free machine far less. */
const SOON = { timeout: 20_000 }

let demo: PhotoDemo
let client: Client<Topics>
const thumbnailed = new Heard<Thumbnailed>()
const moderated = new Heard<Moderated>()
const workers = new Heard<WorkerState>()
const counters = new Heard<Counters>()
const scaling = new Heard<Topics['stage.scaling']>()

beforeAll(async () => {
  demo = await PhotoDemo.start()
  expect(demo.url, demo.output).not.toBe('')
  client = demo.tab('tests')
  client.subscribe('photos.thumbnailed', thumbnailed.add, { from: 'earliest' })
  client.subscribe('photos.moderated', moderated.add, { from: 'earliest' })
  client.subscribe('stage.workers', workers.add, { stream: 'stage', from: 'earliest' })
  client.subscribe('stage.scaling', scaling.add, { from: 'earliest' })
  await client.subscribe('analytics.counters', counters.add, { from: 'earliest' }).ready
})

afterAll(async () => {
  await client?.close()
  demo?.kill()
})

it('takes a JPEG, a PNG and a WebP at once, and makes three thumbnails of each', async () => {
  const tab = demo.tab('follower')
  const notices = new Heard<Notification>()
  await tab.subscribe('notifications.follower', notices.add).ready
  await tab.publish('followers.follower', { tab: 'follower', following: true }, { expiresAt: Date.now() + 30_000 })
  const { status, files } = await upload([
    ['../../etc/cats\u202e\u0007.jpg', await picture('jpeg', 1600, 1200, 6)],
    ['C:\\pictures\\dogs.png', await picture('png')],
    ['birds.jpg', await picture('webp', 320, 240)],
  ])
  expect(status).toBe(200)
  const photos = files.map((each) => (each.ok ? each.photo : expect.fail(each.message)))
  expect(photos.map(({ name, type, by }) => [name, type, by])).toEqual([
    ['cats.jpg', 'image/jpeg', 'tests'],
    ['dogs.png', 'image/png', 'tests'],
    ['birds.jpg', 'image/webp', 'tests'],
  ])
  const sizes: unknown[] = []
  for (const { id, url } of photos) {
    const { thumbnails, attempt } = await thumbnailed.first(({ photo }) => photo.id === id)
    expect(attempt).toBe(1)
    sizes.push(thumbnails.map(({ width, height }) => [width, height]))
    for (const { url, width, height } of thumbnails) {
      const served = await sharp(await (await fetch(demo.url + url)).arrayBuffer()).metadata()
      expect(served).toMatchObject({ format: 'webp', width, height })
    }
    expect((await fetch(demo.url + url)).headers.get('x-content-type-options')).toBe('nosniff')
    expect(readdirSync(join(demo.data, 'photos', id))).toHaveLength(4)
    expect((await notices.first(({ photo }) => photo.id === id)).thumbnail).toBe(thumbnails[0]?.url)
  }
  const upright = [160, 480, 1280]
  expect(sizes).toEqual([
    upright.map((height) => [height * 0.75, height]),
    upright.map((width) => [width, width * 0.75]),
    [160, 320, 320].map((width) => [width, width * 0.75]),
  ])
  await tab.close()
})

it.each([
  ['an empty file', 400, 'empty', 'The file is empty.', Buffer.alloc(0)],
  ['a program with the name of a picture', 415, 'not_a_picture', /not a JPEG/, readFileSync('/bin/ls')],
  ['a decompression bomb', 413, 'too_many_pixels', /30000 × 30000 pixels/, decompressionBomb()],
  ['a header that breaks off', 422, 'unreadable', /damaged/, Buffer.from('ffd8ffe000104a464946', 'hex')],
])('refuses %s, and leaves nothing', async (_, status, code, message, bytes) => {
  const before = left()
  const answer = await upload([['cat.jpg', bytes]])
  expect(answer).toEqual({
    status,
    files: [{ ok: false, name: 'cat.jpg', code, message: expect.stringMatching(message) }],
  })
  expect(left()).toEqual(before)
})

it('refuses one file and takes its neighbour; a field of another name, too many files and other forms are refused', async () => {
  const fine = await picture('png', 64, 64)
  const mixed = await upload([
    ['empty.png', Buffer.alloc(0)],
    ['fine.png', fine],
  ])
  expect(mixed.status).toBe(200)
  expect(mixed.files.map(({ ok }) => ok)).toEqual([false, true])
  await thumbnailed.first(({ photo }) => photo.name === 'fine.png')
  const before = left()
  expect(await upload([['a.png', fine]], 'avatar')).toMatchObject({ status: 400, files: [{ code: 'wrong_field' }] })
  const many = await upload(Array.from({ length: 21 }, (_, n) => [`${n}.png`, Buffer.alloc(0)]))
  expect(many.files.map((each) => !each.ok && each.code)).toEqual([...Array(20).fill('empty'), 'too_many_files'])
  const json = await fetch(`${demo.url}/photos`, { method: 'POST', body: '{}' })
  expect(((await json.json()) as UploadAnswer).files).toMatchObject([{ code: 'not_multipart' }])
  expect(json.status).toBe(400)
  const foreign = await fetch(`${demo.url}/photos`, { method: 'POST', headers: { origin: 'http://other.example' } })
  expect(foreign.status).toBe(403)
  expect(left()).toEqual(before)
})

it('cuts 200 MB off early, in words that arrive, and holds none of it in memory', async () => {
  const before = left()
  const memory = () => demo.peakMemory('upload') + demo.peakMemory('edge')
  const memoryBefore = memory()
  const socket = begin()
  let answer = ''
  socket.on('data', (chunk) => {
    answer += chunk
  })
  // As browsers do, it sends everything, whatever comes meanwhile.
  let sent = 0
  for (; sent < 199 * MB; sent += MB) if (!socket.write(Buffer.alloc(MB, 0xff))) await once(socket, 'drain')
  await expect.poll(() => answer, SOON).toMatch(/^HTTP\/1.1 413 /)
  expect(answer).toContain('"name":"big.jpg","code":"too_large","message":"The file is larger than 20 MB."')
  expect(memory() - memoryBefore).toBeLessThan(100 * MB)
  expect(left()).toEqual(before)
  socket.destroy()
})

it('leaves nothing of an upload that is aborted in the middle', async () => {
  const before = left()
  const socket = begin()
  socket.write(Buffer.alloc(MB))
  await expect.poll(() => left().length, SOON).toBe(before.length + 1)
  socket.destroy()
  await expect.poll(left, SOON).toEqual(before)
})

it('does a photo again whose worker was killed in the middle, and once', async () => {
  await ask('stage.slow', { ms: 60_000 })
  const photo = await uploadOne('jpeg')
  const { worker } = await workers.first((each) => each.service === 'thumbnails' && each.photo === photo.id)
  await ask('stage.slow', { ms: 0 })
  expect(await ask('stage.kill', {})).toEqual({ worker, photo: photo.id })
  await workers.first((each) => each.worker === worker && each.state === 'dead')
  const again = await workers.first((each) => each.photo === photo.id && each.attempt === 2)
  expect(again).toMatchObject({ lastError: 'The connection of the consumer was lost' })
  const done = await thumbnailed.first((each) => each.photo.id === photo.id)
  expect(done).toMatchObject({ attempt: 2, worker: again.worker })
  expect(again.worker).not.toBe(worker)
  expect(thumbnailed.all.filter(({ data }) => data.photo.id === photo.id)).toHaveLength(1)
})

it('sets a corrupt photo aside after three attempts; once mended and redriven, it is done', async () => {
  const { name } = await ask('stage.corrupt', {})
  await expect.poll(() => client.admin.queues.deadLetters.list('thumbnails'), SOON).toHaveLength(1)
  const [letter] = await client.admin.queues.deadLetters.list('thumbnails')
  expect(letter).toMatchObject({
    attempts: 3,
    reason: 'attempts',
    error: expect.stringMatching(`No thumbnail of ${name}: `),
  })
  expect(await ask('stage.mend', {})).toEqual({ mended: 1 })
  expect(await client.admin.queues.deadLetters.redrive('thumbnails')).toBe(1)
  expect((await thumbnailed.first(({ photo }) => photo.name === name)).attempt).toBe(1)
})

it('a spike brings more workers, and is drained', async () => {
  const count = 30
  await ask('stage.slow', { ms: 300 })
  expect(await ask('stage.spike', { count })).toEqual({ count })
  await scaling.first(({ running }) => running > 1)
  await ask('stage.slow', { ms: 0 })
  const done = () => thumbnailed.all.filter(({ data }) => data.photo.by === 'spike').length
  await expect.poll(done, { timeout: 50_000 }).toBe(count)
})

it('moderation, started later, works through what was there before', async () => {
  const black = await sharp({ create: { width: 64, height: 64, channels: 3, background: 'black' } })
    .png()
    .toBuffer()
  const { files } = await upload([['night.png', black]])
  const progress = new Heard<Progress>()
  await client.subscribe('moderation.progress', progress.add).ready
  expect(moderated.all).toEqual([])
  await ask('stage.start', { service: 'moderation' })
  const { judged, flagged } = await progress.first(({ at, of }) => at === of)
  // Of the drawings of a spike some are of the night and some of one colour.
  const drawn = moderated.all.filter(({ data }) => data.verdict === 'flagged' && data.photo.name.startsWith('spike-'))
  expect(drawn.map(({ data }) => `${data.photo.name}: ${data.why}`).sort()).toEqual([
    'spike-005.jpg: It is almost black.',
    'spike-010.jpg: It is almost entirely one colour.',
    'spike-015.jpg: It is almost black.',
    'spike-020.jpg: It is almost entirely one colour.',
    'spike-029.jpg: It is almost black.',
  ])
  expect([judged, flagged]).toEqual([uploaded().length, 1 + drawn.length])
  expect(moderated.all.map(({ data }) => data.photo.id).sort()).toEqual(uploaded().sort())
  const night = files.map((each) => each.ok && each.photo.id)[0]
  expect((await moderated.first(({ photo }) => photo.id === night)).verdict).toBe('flagged')
  await ask('stage.stop', { service: 'moderation' })
  await workers.first(({ service, state }) => service === 'moderation' && state === 'stopped')
})

it('analytics, killed, has the same counters again from the stream', async () => {
  const sum = ({ uploaded, thumbnailed, bytes, byType }: Counters) => ({ uploaded, thumbnailed, bytes, byType })
  const before = await counters.first(
    (each) => each.thumbnailed === uploaded().length && each.uploaded === each.thumbnailed,
  )
  const { worker } = await workers.first(({ service }) => service === 'analytics')
  await ask('stage.kill', { worker })
  const after = await counters.first(({ rebuilt }) => rebuilt.messages > 0)
  expect(sum(after)).toEqual(sum(before))
})

it('keeps a tab off until all photos of the meantime are uploaded, which then goes on without a gap', async () => {
  const tab = demo.tab('tunnel')
  const seen = new Heard<Topics[keyof Topics]>()
  const back = new Promise<boolean>((resolve) => {
    const options = {
      from: 'latest',
      stream: 'photos',
      onResubscribed: (event: { recovered: boolean }) => resolve(event.recovered),
    } as const
    tab.subscribe('photos.uploaded', seen.add, options)
  })
  await tab.ready()
  const cut = new Promise<void>((resolve) => {
    tab.onState(({ to }) => to !== 'connected' && resolve())
  })
  // Shorter than the uploads take.
  expect(await tab.request('stage.cut', { tab: 'tunnel', ms: 1, photos: 12 })).toEqual({ ms: 1 })
  await cut
  expect(await back).toBe(true)
  const { next } = await tab.admin.streams.show('photos')
  await expect.poll(() => seen.all.length, SOON).toBe(12)
  for (const { offsets } of seen.all) expect(offsets?.['photos']).toBeLessThan(next)
  expect(client.state).toBe('connected')
  await tab.close()
})

it('says what is wrong with what it is asked', async () => {
  await expect(ask('stage.scale', { workers: 1000 })).rejects.toThrow('1000 is not an integer from 0 to 6')
  await expect(ask('stage.kill', { worker: 'nobody' })).rejects.toThrow('There is no worker nobody')
})

it('listens on loopback alone', () => {
  const addresses = demo.listening()
  expect(addresses.length).toBeGreaterThanOrEqual(3)
  expect(addresses.filter((address) => !address.startsWith('0100007F:'))).toEqual([])
})

it('says that its port is in use, and leaves nothing', async () => {
  const second = await PhotoDemo.start(Number(new URL(demo.url).port))
  expect(await second.ended).toBe(1)
  expect(second.output).toMatch(/^Port \d+ is in use\. Stop what uses it, or choose another/m)
  await expect.poll(() => second.processes(), SOON).toEqual([])
})

it('ends with every process and every file', async () => {
  await client.close()
  expect(existsSync(demo.data)).toBe(true)
  expect(await demo.end()).toBe(0)
  // What compiles TypeScript for them ends a moment after them.
  await expect.poll(() => demo.processes(), SOON).toEqual([])
  expect(existsSync(demo.data)).toBe(false)
})

function ask<Topic extends keyof Requests>(topic: Topic, data: Requests[Topic]['ask']) {
  // On a busy machine a process takes a while to start.
  return client.request<Requests[Topic]['reply']>(topic, data, { timeout: 25_000 })
}

async function upload(files: [string, Buffer][], field = 'photos'): Promise<UploadAnswer & { status: number }> {
  const form = new FormData()
  for (const [name, bytes] of files) form.append(field, new Blob([new Uint8Array(bytes)]), name)
  const response = await fetch(`${demo.url}/photos?by=tests`, { method: 'POST', body: form })
  return { status: response.status, ...((await response.json()) as UploadAnswer) }
}

async function uploadOne(format: 'jpeg' | 'png'): Promise<Photo> {
  const [file] = (await upload([[`one.${format}`, await picture(format, 64, 64)]])).files
  return file?.ok ? file.photo : expect.fail(file?.message)
}

/** Everything that lies in the folder of photos. */
function left(): string[] {
  return readdirSync(join(demo.data, 'photos'), { recursive: true, encoding: 'utf8' }).sort()
}

/** The ids of all photos that were taken. */
function uploaded(): string[] {
  return readdirSync(join(demo.data, 'photos')).filter((name) => name !== 'incoming')
}

/** A connection on which an upload has begun: a file of which nothing is there yet. */
function begin(): Socket {
  const { port, host } = new URL(demo.url)
  const type = 'content-type: multipart/form-data; boundary=x'
  const socket = connect(Number(port), '127.0.0.1').on('error', () => {})
  socket.write(`POST /photos HTTP/1.1\r\nhost: ${host}\r\n${type}\r\ncontent-length: ${200 * MB}\r\n\r\n`)
  socket.write('--x\r\ncontent-disposition: form-data; name="photos"; filename="big.jpg"\r\n\r\n')
  return socket
}
