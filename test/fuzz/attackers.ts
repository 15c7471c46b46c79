import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { WebSocket } from 'ws'
import { fuzzBytes } from './byte-generator.ts'
import { fuzzMessage } from './frame-generator.ts'
import { pick } from './random.ts'

/** Messages between two looks whether the hub still answers. */
const BURST = 40
/** A connection that the hub has not closed gets another start now and then: what it has subscribed to goes away. */
const MOST_BURSTS = 25
/** A socket on which the hub waits for the rest of something. */
const PATIENCE_MS = 20

/** Part of what a connection sends that a hub cannot like: it closes most of the second kind at once. */
const HOSTILITIES = [0.005, 0.5]

/** Makes the hub read this many messages, on as many connections as that takes. */
export async function attackWithMessages(url: string, random: () => number, count: number): Promise<void> {
  let read = 0
  while (read < count) {
    const hostility = pick(random, HOSTILITIES)
    const socket = await open(url)
    for (let burst = 0; burst < MOST_BURSTS && read < count; burst++) {
      for (let n = 0; n < BURST; n++) socket.send(fuzzMessage(random, hostility))
      const stillOpen = await answers(socket)
      // Of a burst over which it closed, who knows how much it has read.
      read += stillOpen ? BURST : 1
      if (!stillOpen) break
    }
    await closed(socket)
  }
}

/** Writes this many sequences of bytes, each on a socket of its own. */
export async function attackWithBytes(port: number, random: () => number, count: number): Promise<void> {
  for (let sent = 0; sent < count; sent++) {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.resume()
    await once(socket, 'connect')
    for (const bytes of fuzzBytes(random)) {
      if (socket.writable) socket.write(bytes)
    }
    await settled(socket)
    if (random() < 0.5) socket.resetAndDestroy()
    else socket.destroy()
  }
}

async function open(url: string): Promise<WebSocket> {
  const socket = new WebSocket(url, 'fanfare.v1')
  socket.on('error', () => {})
  await once(socket, 'open')
  return socket
}

/** Resolves when the hub has read all that was sent; false when it has closed the connection over it. */
function answers(socket: WebSocket): Promise<boolean> {
  return new Promise((resolve) => {
    if (socket.readyState !== WebSocket.OPEN) return resolve(false)
    socket.once('close', () => resolve(false))
    socket.once('pong', () => {
      socket.removeAllListeners('close')
      resolve(true)
    })
    socket.ping()
  })
}

async function closed(socket: WebSocket): Promise<void> {
  if (socket.readyState === WebSocket.CLOSED) return
  socket.terminate()
  await once(socket, 'close')
}

function settled(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, PATIENCE_MS)
    socket.once('close', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
