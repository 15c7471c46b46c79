/**
 * A chat room for browsers: the hub is the whole server. Run `npx tsx chat.ts` and open the printed address in two windows.
 * A stream keeps the messages, so a page that opens late, or was offline, shows what it missed.
 */
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { startHub } from 'fanfare/server'

const hub = await startHub({
  port: Number(process.env['HUB_PORT'] ?? 4747),
  streams: [{ name: 'chat', topics: ['chat.#'], maxMessages: 10_000 }],
})

// The page may be served from anywhere. If that is another machine, add its origin to `allowedOrigins`.
const page = await readFile(new URL('chat.html', import.meta.url), 'utf8')
const server = createServer((_, response) => {
  response.setHeader('content-type', 'text/html; charset=utf-8')
  response.end(page.replaceAll('{{hub}}', `http://127.0.0.1:${hub.port}`))
})
server.listen(Number(process.env['PORT'] ?? 8080), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
