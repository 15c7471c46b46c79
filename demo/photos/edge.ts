/**
 * The edge: one address for the browser. It serves the page, forwards uploads to the upload service, and connects the page's WebSocket to the hub.
 * Since all traffic between a tab and the hub passes through it, it can also disconnect a tab.
 */
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { pipeline } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { getRequestListener } from '@hono/node-server'
import { serveStatic } from '@hono/node-server/serve-static'
import { Hono } from 'hono'
import { MAX_FILES, MAX_UPLOAD_BYTES } from './check-picture.ts'
import { MAX_SPIKE, type PageConfig, type Requests, type UploadAnswer } from './contract.ts'
import { linger } from './linger.ts'
import { takePart } from './part.ts'
import { uploadMany } from './play.ts'

const PAGE = fileURLToPath(new URL('dist', import.meta.url))
/** Time for the response to a cut request to be sent before the cut, in milliseconds. */
const CUT_AFTER_MS = 100
/** The maximum length of a cut, in milliseconds. */
const MAX_CUT_MS = 60_000

const part = takePart()
const { client } = part
const hub = new URL(process.env['PHOTOS_HUB'] as string)
const dashboard = `http://${hub.host}/`
let uploads: string | undefined
/** Less than the service's own keep-alive time, so that the service never closes a connection while the edge uses it. */
const agent = new Agent({ keepAlive: true, timeout: 30_000 })
/** Sockets to browsers, by tab name. */
const sockets = new Map<Socket, string>()
/** Cuts under way, by tab name. */
const cuts = new Map<string, number>()

const addresses = client.subscribe(
  'stage.addresses',
  ({ data }) => {
    if (data.part === 'upload') uploads = data.url
  },
  { stream: 'stage', from: 'earliest' },
)

const app = new Hono()
app.get('/config.json', (c) =>
  c.json({ dashboard, maxUploadBytes: MAX_UPLOAD_BYTES, maxFiles: MAX_FILES } satisfies PageConfig),
)
app.get('/fanfare-dashboard', (c) => c.redirect(dashboard))
app.use(serveStatic({ root: PAGE }))
const listener = getRequestListener(app.fetch)

const server = createServer((incoming, response) => {
  if (!/^\/photos(\/|\?|$)/.test(incoming.url ?? '')) void listener(incoming, response)
  else if (isForeign(incoming)) response.writeHead(403).end()
  else forward(incoming, response)
})
server.on('upgrade', (incoming: IncomingMessage, socket: Socket, head: Buffer) => {
  const [path, query] = (incoming.url ?? '').split('?')
  const tab = new URLSearchParams(query).get('tab') ?? ''
  if (path !== '/hub' || isForeign(incoming) || cuts.has(tab)) socket.destroy()
  else join(incoming, socket, head, tab)
})
server.on('error', ({ message }) => {
  console.error(`The page cannot be served: ${message}`)
  process.exit(1)
})

const offer = client.respond<Requests['stage.cut']['ask'], Requests['stage.cut']['reply']>('stage.cut', ({ data }) => {
  const within = (value: unknown, max: number) => Math.min(Math.max(0, Math.floor(Number(value) || 0)), max)
  const ms = within(data.ms, MAX_CUT_MS)
  setTimeout(() => void cut(data.tab, ms, within(data.photos, MAX_SPIKE)), CUT_AFTER_MS)
  return { ms }
})
await Promise.all([addresses.ready, offer.ready])
server.listen(Number(process.env['PHOTOS_PORT']), '127.0.0.1', async () => {
  const { port } = server.address() as AddressInfo
  await client.publish('stage.addresses', { part: 'edge', url: `http://127.0.0.1:${port}` }, { key: 'edge' })
})
part.onStop(() => {
  server.close()
  server.closeAllConnections()
  for (const socket of sockets.keys()) socket.destroy()
})

/** Another site's page, open in the same browser, could otherwise upload and control the stage. */
function isForeign({ headers: { origin, host } }: IncomingMessage): boolean {
  return origin !== undefined && !(URL.canParse(origin) && new URL(origin).host === host)
}

/** Streams both ways, so the size does not matter. */
function forward(incoming: IncomingMessage, response: ServerResponse): void {
  const unavailable = () => {
    // The response has arrived, or breaks off by itself.
    if (response.headersSent) return
    const message = 'The upload service is not available right now. Try again in a moment.'
    const answer: UploadAnswer = { files: [{ ok: false, name: '', code: 'unavailable', message }] }
    response.writeHead(503, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
    return linger(incoming)
  }
  if (uploads === undefined) return void unavailable()
  const onward = request(new URL(incoming.url as string, uploads), {
    method: incoming.method,
    headers: { ...incoming.headers, connection: 'keep-alive' },
    agent,
  })
  onward.on('response', (answer) => {
    // The response may arrive before the whole request was sent.
    linger(incoming)
    const { connection: _, 'keep-alive': __, ...headers } = answer.headers
    response.writeHead(answer.statusCode as number, headers)
    // One of the two sides is gone; the other has been ended with it.
    pipeline(answer, response, () => {})
  })
  incoming.pipe(onward)
  incoming.once('close', () => {
    if (!incoming.complete) onward.destroy()
  })
  onward.on('error', unavailable)
}

/** Byte by byte, from here on. */
function join(incoming: IncomingMessage, near: Socket, head: Buffer, tab: string): void {
  const far = connect(Number(hub.port), hub.hostname)
  const headers = incoming.rawHeaders.map((text, at) => (at % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join('')
  far.write(`GET ${hub.pathname} HTTP/1.1\r\n${headers}\r\n`)
  far.write(head)
  sockets.set(near, tab)
  for (const [from, to] of [
    [near, far],
    [far, near],
  ] as const) {
    from.setNoDelay()
    // When one ends the other ends, whatever the reason.
    from.on('error', () => {})
    from.on('close', () => to.destroy())
    from.pipe(to)
  }
  near.on('close', () => sockets.delete(near))
}

/** All photos arrive while the tab is offline, however fast or slow the machine is, so the tab misses each of them. */
async function cut(tab: string, ms: number, photos: number): Promise<void> {
  cuts.set(tab, (cuts.get(tab) ?? 0) + 1)
  for (const [socket, of] of sockets) if (of === tab) socket.resetAndDestroy()
  const { port } = server.address() as AddressInfo
  const uploading = uploadMany(`http://127.0.0.1:${port}`, photos, AbortSignal.timeout(MAX_CUT_MS), 'elsewhere')
  uploading.catch((error: Error) => console.error(`Not all photos were uploaded during a cut: ${error.message}`))
  await Promise.allSettled([sleep(ms), uploading])
  const left = (cuts.get(tab) ?? 1) - 1
  if (left > 0) cuts.set(tab, left)
  else cuts.delete(tab)
}
