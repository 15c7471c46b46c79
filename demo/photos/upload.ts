/**
 * The upload service: streams photos to disk, checks what they are, and publishes them. Its response can be relied on: the file is there, and so is
 * the message on which everything else depends.
 */
import { createReadStream } from 'node:fs'
import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { FanfareError } from 'fanfare/client'
import { checkPicture, Refused } from './check-picture.ts'
import { type Photo, REFUSALS, type UploadAnswer, type UploadResult } from './contract.ts'
import { reporter, takePart } from './part.ts'
import { filesAt, folderOf, incomingFolder, originalOf } from './photo-files.ts'
import { type Received, receive, refusal } from './receive.ts'

/** How long the hub may take to accept a message, in milliseconds. */
const PUBLISH_MS = 10_000
/** Longer than the edge keeps an idle connection. */
const KEEP_ALIVE_MS = 60_000
/** The uploader, as a word of a topic name. */
const TAB = /^[\w-]{1,40}$/

const part = takePart()
const { client, photos } = part
const report = reporter(part, 'upload')
const incoming = incomingFolder(photos)

// What a killed predecessor had not finished.
await rm(incoming, { recursive: true, force: true })
await mkdir(incoming, { recursive: true })

const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
  const [path = '', query] = (request.url ?? '').split('?')
  const by = new URLSearchParams(query).get('by') ?? ''
  if (request.method === 'POST' && path === '/photos') void upload(request, response, by)
  else if (request.method === 'GET' || request.method === 'HEAD') void serve(request, response, path)
  else response.writeHead(405).end()
})
server.listen(0, '127.0.0.1', async () => {
  const { port } = server.address() as AddressInfo
  await client.publish('stage.addresses', { part: 'upload', url: `http://127.0.0.1:${port}` }, { key: 'upload' })
  report()
})
part.onStop(async () => {
  server.close()
  server.closeAllConnections()
})

async function upload(request: IncomingMessage, response: ServerResponse, by: string): Promise<void> {
  const owner = TAB.test(by) ? by : 'unknown'
  const files = await receive(request, incoming, (file) => keep(file, owner)).catch((error: unknown) => [
    refusal('', error),
  ])
  if (response.destroyed) return
  const answer: UploadAnswer = { files }
  response.writeHead(statusOf(files), { 'content-type': 'application/json' }).end(JSON.stringify(answer))
}

/** Checks a received file, moves it to its place and publishes it; otherwise leaves nothing. */
async function keep({ id, path, name, bytes }: Received, by: string): Promise<Photo> {
  report({ photo: id })
  const type = await checkPicture(path)
  const photo: Photo = { id, name, type, bytes, url: `/photos/${id}/original`, by }
  try {
    await mkdir(folderOf(photos, id))
    await rename(path, originalOf(photos, photo))
    await client.publish('photos.uploaded', photo, { id, signal: AbortSignal.timeout(PUBLISH_MS) })
    report()
    return photo
  } catch (error) {
    await rm(folderOf(photos, id), { recursive: true, force: true })
    const isHub = error instanceof FanfareError || (error as Error).name === 'TimeoutError'
    throw isHub ? new Refused('unavailable', 'The hub does not accept the photo right now. Try again later.') : error
  }
}

async function serve(request: IncomingMessage, response: ServerResponse, pathname: string): Promise<void> {
  for (const { path, type } of filesAt(photos, pathname)) {
    const size = await stat(path).then(
      (found) => found.size,
      () => undefined,
    )
    if (size === undefined) continue
    // A browser must treat an uploaded picture as a picture and nothing else, without sniffing.
    const guards = { 'x-content-type-options': 'nosniff', 'content-security-policy': "default-src 'none'; sandbox" }
    response.writeHead(200, { 'content-type': type, 'content-length': size, 'cache-control': 'no-cache', ...guards })
    if (request.method === 'HEAD') response.end()
    // A client that leaves in the middle needs no response.
    else await pipeline(createReadStream(path), response).catch(() => response.destroy())
    return
  }
  response.writeHead(404, { 'content-type': 'text/plain' }).end('There is no such photo.')
}

function statusOf(files: readonly UploadResult[]): number {
  const first = files[0]
  return !first || first.ok || files.some(({ ok }) => ok) ? 200 : REFUSALS[first.code]
}
