import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAdapter } from '@socket.io/redis-adapter'
import { Redis } from 'ioredis'
import { Server } from 'socket.io'

/** Reference: Socket.IO with its Redis adapter, as its documentation has it. */
const url = process.argv[2] as string
const http = createServer()
const io = new Server(http, { adapter: createAdapter(new Redis(url), new Redis(url)) })
io.on('connection', (socket) => {
  const { room } = socket.handshake.query
  if (typeof room === 'string') void socket.join(room)
  socket.on('publish', (data: string, done: () => void) => {
    io.to('bench').emit('message', data)
    done()
  })
})
http.listen(0, '127.0.0.1', () => process.stdout.write(`listening ${(http.address() as AddressInfo).port}\n`))
