/**
 * A chat room for browsers: the hub is the whole server. Run `npx tsx chat.ts` and open the address that it prints in two windows.
 * A stream keeps the messages, so that a page that comes late, or was away, shows what it has missed.
 */
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { startHub } from 'fanfare/server'

const hub = await startHub({
  port: Number(process.env['HUB_PORT'] ?? 4747),
  streams: [{ name: 'chat', topics: ['chat.#'], maxMessages: 10_000 }],
})

// The page could come from anywhere. On another machine than this one its address has to be in `allowedOrigins`.
const page = await readFile(new URL('chat.html', import.meta.url), 'utf8')
const server = createServer((_, response) => {
  response.setHeader('content-type', 'text/html; charset=utf-8')
  response.end(page.replaceAll('{{hub}}', `http://127.0.0.1:${hub.port}`))
})
server.listen(Number(process.env['PORT'] ?? 8080), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
