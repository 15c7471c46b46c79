import type { AddressInfo } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'

/** Reference: a plain loop that sends each message to each subscriber. */
const subscribers = new Set<WebSocket>()
const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
server.on('connection', (socket, request) => {
  socket.on('error', () => {})
  if (request.url !== '/publish') {
    subscribers.add(socket)
    socket.on('close', () => subscribers.delete(socket))
    return
  }
  socket.on('message', (message, binary) => {
    for (const subscriber of subscribers) subscriber.send(message, { binary })
    socket.send('!')
  })
})
server.on('listening', () => process.stdout.write(`listening ${(server.address() as AddressInfo).port}\n`))
