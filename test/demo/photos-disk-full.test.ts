import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { connect } from '../../client/node.ts'
import type { Topics, UploadAnswer } from '../../demo/photos/contract.ts'
import { startHub } from '../../server/index.ts'
import { picture } from '../setup/pictures.ts'
import { smallDisk } from '../setup/small-disk.ts'

const MB = 1024 * 1024

it('an upload that the disk has no room for is refused in words, and leaves its room to the next', async ({ skip }) => {
  const disk = await smallDisk(8)
  if (!disk) return skip('mounting a file system of its own is not allowed here')
  onTestFinished(() => disk.remove())
  const photos = join(disk.path, 'photos')
  mkdirSync(photos)
  const streams = [
    { name: 'photos', topics: ['photos.#'] },
    { name: 'stage', topics: ['stage.#'] },
  ]
  const hub = await startHub({ port: 0, streams })
  onTestFinished(async () => void (await hub.close()))
  const url = `ws://127.0.0.1:${hub.port}`
  const client = connect<Topics>(url)
  onTestFinished(async () => void (await client.close()))

  const env = { ...process.env, PHOTOS_HUB: url, PHOTOS_DIR: photos, PHOTOS_WORKER: 'upload-1' }
  const service = spawn(process.execPath, ['--import', 'tsx', 'demo/photos/upload.ts'], {
    env,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  onTestFinished(async () => {
    service.kill()
    await once(service, 'exit')
  })
  let address = ''
  for await (const { data } of client.subscribe('stage.addresses', { from: 'earliest' })) {
    address = data.url
    break
  }

  const photo = await picture('jpeg')
  const large = await upload(address, Buffer.concat([photo, Buffer.alloc(15 * MB)]))
  expect(large.status).toBe(507)
  expect(((await large.json()) as UploadAnswer).files).toEqual([
    { ok: false, name: 'a.jpg', code: 'storage_full', message: 'The disk of the upload service is full.' },
  ])
  expect(readdirSync(photos, { recursive: true })).toEqual(['incoming'])
  expect((await upload(address, photo)).status).toBe(200)
})

function upload(address: string, bytes: Buffer): Promise<Response> {
  const form = new FormData()
  form.append('photos', new Blob([new Uint8Array(bytes)]), 'a.jpg')
  return fetch(`${address}/photos`, { method: 'POST', body: form })
}
