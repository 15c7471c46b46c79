import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { pick } from './random.ts'
import { fuzzRequests } from './request-generator.ts'

/** Sockets at once. */
const SOCKETS = 16
/** A socket on which the hub waits for the rest of a request, or which it keeps open for events. */
const PATIENCE_MS = 15
/** Part of the requests that are not sound. */
const HOSTILITIES = [0, 0.2, 0.9]

/** Sends this many requests or more, each on its own socket together with those pipelined after it. */
export async function attackWithRequests(port: number, random: () => number, count: number): Promise<void> {
  let sent = 0
  const attack = async () => {
    while (sent++ < count) await sendOne(port, random)
  }
  await Promise.all(Array.from({ length: SOCKETS }, attack))
}

async function sendOne(port: number, random: () => number): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  await Promise.race([once(socket, 'connect'), once(socket, 'close')])
  if (socket.writable) socket.write(fuzzRequests(random, pick(random, HOSTILITIES)))
  await quiet(socket)
  if (random() < 0.1) socket.resetAndDestroy()
  else socket.destroy()
}

/** Resolves when the hub has closed the socket, or has sent nothing more for a while. */
function quiet(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, PATIENCE_MS)
    socket.on('data', () => timer.refresh())
    socket.once('close', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
