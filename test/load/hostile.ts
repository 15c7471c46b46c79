import { once } from 'node:events'
import { request } from 'node:http'
import { connect as connectTcp } from 'node:net'
import { WebSocket } from 'ws'
import { type Client, connect } from '../../client/node.ts'
import { start } from './names.ts'
import type { NamesHubOptions } from './names-hub.ts'
import { milliseconds, row, title } from './report.ts'

/** What a stranger sends: 1,000 frames, or what takes as much, in as few WebSocket messages as possible. */
interface Kind {
  readonly streams?: NamesHubOptions['streams']
  /** What it may prepare; not measured. */
  prepare?(peer: Hostile): Promise<void>
  attack(peer: Hostile): Promise<void>
}

const FRAMES = 1000
/** Publishes that one connection may have unanswered. */
const AT_ONCE = 250
const WANTED_TURN_MS = 100
const LONG_TOPIC = `me.${Array(30).fill('a').join('.')}`

/** Patterns of which a topic of many equal words matches nearly all, but none in the end. */
function deep(n: number, words: number): string {
  return Array.from({ length: words }, (_, at) => ((n >> at) & 1 ? 'a' : '*')).join('.')
}

const KINDS: Record<string, Kind> = {
  'publishes, 1,000 patterns with a #': subscribedTo((n) => `me.#.a.${deep(n, 10)}.b`),
  'publishes, 1,000 patterns with many #': subscribedTo((n) => `me.#.a.${deep(n, 10)}.c.#.a.#.b`),
  'publishes, 1,000 patterns without a #': subscribedTo((n) => `me.${deep(n, 10)}.${deep(0, 19)}.b`),
  'publishes, 1,000 filters of 32 headers': {
    prepare: (peer) => peer.subscribe(FRAMES, () => 'me.#', { filter: { all: { ...headers(31), last: 'x' } } }),
    attack: (peer) => peer.publish(() => ({ topic: LONG_TOPIC, headers: headers(32) })),
  },
  'publishes, 1,000 equal subscriptions': subscribedTo(() => 'me.#'),
  'the same, by one that does not read': {
    async prepare(peer) {
      const policies = ['drop-oldest', 'conflate']
      const policy = (n: number) => ({ policy: policies[n % policies.length] })
      await peer.subscribe(FRAMES, () => 'me.#', policy)
      peer.socket.pause()
      const other = await peer.another()
      for (let n = 0; n < 6; n++) await other.publish(() => ({ topic: LONG_TOPIC, data: 'x'.repeat(900) }))
    },
    async attack(peer) {
      const other = await peer.another()
      await other.publish(() => ({ topic: LONG_TOPIC, data: 'x'.repeat(900) }))
    },
  },
  'publishes, streams of 5,000 patterns': {
    streams: captures(5000),
    attack: (peer) => peer.publish((n) => ({ topic: LONG_TOPIC.replace('a', `a${n}`) })),
  },
  'pause subscribes, streams of 5,000': {
    streams: captures(5000),
    attack: (peer) => peer.send(frames((sub) => ({ type: 'subscribe', sub, pattern: LONG_TOPIC, policy: 'pause' }))),
  },
  '300 subscriptions on 10 MB of a stream': {
    streams: [{ name: 'me', topics: ['me.*'] }],
    async prepare(peer) {
      const client = connect(`ws://127.0.0.1:${peer.port}/`)
      const publish = (_: unknown, n: number) => client.publish(`me.${n % 7}`, 'x'.repeat(1000))
      await Promise.all(Array.from({ length: 10_000 }, publish))
      await client.close()
    },
    async attack(peer) {
      const subscribe = (sub: number) => ({ type: 'subscribe', sub, pattern: 'me.*', from: 'earliest' })
      await peer.send(frames(subscribe, 300))
      await peer.quiet()
    },
  },
  '256 KiB of refused frames': { attack: (peer) => peer.send(frames((sub) => ({ type: 'unsubscribe', sub }), 6500)) },
  'hello frames, too late': { attack: (peer) => peer.send(frames(() => ({ type: 'hello' }), 10_000)) },
  'subscribes with bad patterns': {
    attack: (peer) => peer.send(frames((sub) => ({ type: 'subscribe', sub, pattern: `${LONG_TOPIC}.?` }))),
  },
  'unsubscribes from deep patterns': {
    prepare: (peer) => peer.subscribe(FRAMES, (n) => `me.#.a.${deep(n, 10)}.b`),
    attack: (peer) => peer.send(frames((sub) => ({ type: 'unsubscribe', sub }))),
  },
  'leaves with deep patterns': {
    prepare: (peer) => peer.subscribe(FRAMES, (n) => `me.#.a.${deep(n, 10)}.b`),
    async attack({ socket }) {
      socket.terminate()
      await once(socket, 'close')
    },
  },
  'calls that list': {
    streams: captures(1000, 1),
    attack: (peer) => peer.send(frames((seq) => ({ type: 'call', seq, method: 'streams.list' }))),
  },
  'calls with wrong parameters': {
    attack: (peer) => peer.send(frames((seq) => ({ type: 'call', seq, method: 'streams.declare', params: { seq } }))),
  },
  'data nested too deeply': {
    attack: (peer) => peer.publish(() => ({ topic: 'me', data: JSON.parse('['.repeat(400) + ']'.repeat(400)) })),
  },
  'publishes by HTTP, 1,000 patterns': {
    prepare: (peer) => peer.subscribe(FRAMES, (n) => `me.#.a.${deep(n, 10)}.b`),
    attack: ({ port }) => post(port, '/v1/publish', JSON.stringify(frames(() => ({ topic: LONG_TOPIC })))),
  },
  'upgrades for //': { attack: ({ port }) => upgrades(port) },
  'requests for openapi.json': {
    async attack({ port }) {
      const get = async () => void (await (await fetch(`http://127.0.0.1:${port}/v1/openapi.json`)).arrayBuffer())
      for (let n = 0; n < FRAMES; n += AT_ONCE) await Promise.all(Array.from({ length: AT_ONCE }, get))
    },
  },
}

/** The longest turn of the event loop that 1,000 hostile frames of each kind cause, and how long others wait meanwhile. */
export async function hostile(engines: readonly string[]): Promise<void> {
  for (const engine of engines) {
    title(`${FRAMES.toLocaleString('en')} hostile frames, engine ${engine}`)
    for (const [name, kind] of Object.entries(KINDS)) await measure(engine, name, kind)
  }
}

async function measure(engine: string, name: string, { streams = [], prepare, attack }: Kind): Promise<void> {
  const hub = await start({
    engine,
    data: 'memory',
    streams,
    queues: [],
    port: 0,
    logLevel: 'silent',
  } as NamesHubOptions)
  const peer = await Hostile.open(hub.port)
  const control = connect(`ws://127.0.0.1:${hub.port}/`)
  await control.ready()
  await prepare?.(peer)
  await hub.longestTurn()
  const waited = await othersWait(control, () => attack(peer))
  const turn = await hub.longestTurn()
  row(name, milliseconds(turn), `others waited ${milliseconds(waited)}`, `wanted: ${WANTED_TURN_MS} ms`)
  if (turn > WANTED_TURN_MS) process.exitCode = 1
  peer.socket.terminate()
  await control.close()
  await hub.stop()
}

/** The longest round trip of another client meanwhile, in milliseconds. */
async function othersWait(control: Client, act: () => Promise<void>): Promise<number> {
  let longest = 0
  let over = false
  const acting = act().finally(() => {
    over = true
  })
  while (!over) {
    const since = performance.now()
    await control.publish('control', 1)
    longest = Math.max(longest, performance.now() - since)
  }
  await acting
  return longest
}

/** A connection that speaks the protocol by hand. */
class Hostile {
  readonly port: number
  readonly socket: WebSocket
  private last = performance.now()
  private handled = () => {}

  private constructor(port: number) {
    this.port = port
    this.socket = new WebSocket(`ws://127.0.0.1:${port}/`, 'fanfare.v1')
    this.socket.on('error', () => {})
    this.socket.on('message', (data: Buffer) => {
      this.last = performance.now()
      if (data.includes('"pong"')) this.handled()
    })
    this.socket.on('close', () => this.handled())
  }

  static async open(port: number): Promise<Hostile> {
    const hostile = new Hostile(port)
    await once(hostile.socket, 'open')
    return hostile
  }

  another(): Promise<Hostile> {
    return Hostile.open(this.port)
  }

  /** Sends frames in one WebSocket message, and waits until the hub has handled all of them or ended the connection. */
  async send(frames: readonly object[]): Promise<void> {
    if (this.socket.readyState !== WebSocket.OPEN) throw new Error('the hub has ended the connection')
    this.socket.send(JSON.stringify([...frames, { type: 'ping' }]))
    await new Promise<void>((resolve) => {
      this.handled = resolve
    })
  }

  async publish(frameOf: (n: number) => object): Promise<void> {
    for (let at = 0; at < FRAMES; at += AT_ONCE) {
      await this.send(frames((seq) => ({ type: 'publish', seq, ...frameOf(at + seq) }), AT_ONCE))
    }
  }

  async subscribe(
    count: number,
    pattern: (n: number) => string,
    more: object | ((n: number) => object) = {},
  ): Promise<void> {
    const moreOf = typeof more === 'function' ? (more as (n: number) => object) : () => more
    for (let at = 0; at < count; at += AT_ONCE) {
      await this.send(
        frames((n) => ({ type: 'subscribe', sub: at + n, pattern: pattern(at + n), ...moreOf(at + n) }), AT_ONCE),
      )
    }
  }

  /** Nothing has come for a while. */
  async quiet(): Promise<void> {
    while (performance.now() - this.last < QUIET_MS) await new Promise((resolve) => setTimeout(resolve, QUIET_MS))
  }
}

const QUIET_MS = 300

function frames(frameOf: (n: number) => object, count = FRAMES): object[] {
  return Array.from({ length: count }, (_, n) => frameOf(n))
}

function subscribedTo(pattern: (n: number) => string): Kind {
  return {
    prepare: (peer) => peer.subscribe(FRAMES, pattern),
    attack: (peer) => peer.publish(() => ({ topic: LONG_TOPIC })),
  }
}

/** Streams, of 1,000 patterns each as far as one may have, that capture nothing of the long topic. */
function captures(count: number, each = 1000): object[] {
  return Array.from({ length: count / each }, (_, at) => ({
    name: `s${at}`,
    topics: Array.from({ length: each }, (_, n) => `me.#.a.${deep(at * each + n, 13)}.b`),
  }))
}

function headers(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, n) => [`name-${n}`, `value-${n}`]))
}

async function post(port: number, path: string, body: string): Promise<void> {
  const sent = request({ port, path, method: 'POST', headers: { 'content-type': 'application/json' } })
  sent.end(body)
  const [response] = await once(sent, 'response')
  await once(response.resume(), 'end')
}

async function upgrades(port: number): Promise<void> {
  for (let n = 0; n < FRAMES; n++) {
    const socket = connectTcp(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write('GET // HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    await Promise.race([once(socket, 'data'), once(socket, 'close')])
    socket.destroy()
  }
}
