import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { FanfareError } from '../../shared/errors.ts'
import { onServerCore, processStats } from './process-stats.ts'
import { clientFrame, openRaw } from './raw-websocket.ts'

/** A server under load, and how to speak to it. */
export interface Target {
  readonly name: string
  readonly protocol: string | undefined
  readonly subscriberPath: string
  readonly publisherPath: string
  /** What a new subscriber or publisher says first, and the text that shows that it was understood. */
  readonly subscribe: Greeting | undefined
  readonly greet: Greeting | undefined
  /** The bytes that publish these payloads. */
  publish(payloads: readonly string[], firstSeq: number): Buffer
  /** The text that acknowledges this many of them. */
  readonly ack: { readonly text: string; readonly messages: number }
  /** Its subscribers answer the hub's checks; those of the target with this name do not. */
  readonly answersChecksOf?: string
  start(): Promise<Running>
}

/** One that has topics, and takes one publish in each WebSocket message. */
export interface TopicTarget extends Target {
  subscribeTo(topic: string): Greeting
  /** The bytes of one WebSocket message. */
  publishAlone(topic: string, payload: string, seq: number): Buffer
}

export interface Greeting {
  readonly say: string
  readonly hear: string
}

export interface Running {
  /** 127.0.0.1 where it is missing. */
  readonly host?: string
  readonly port: number
  /** Of the server, where its CPU and memory can be looked at. */
  readonly pid: number | undefined
  /** By default as a crash does. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

/** Publishes in one write. NATS acknowledges each of these with one answer. */
export const BATCH = 32

/** A batch of a hub's client stays below this, so that it fits into the default of `frameBytes`. */
const MESSAGE_BYTES = 200_000

const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js'
const runner = extension === '.ts' ? ['--import', 'tsx'] : []

/** A hub on one core, as all servers are that are compared; or with `cores: 'all'` as its users run it. */
export function fanfare(engine: string, flags: readonly string[] = [], cores: 'one' | 'all' = 'one'): TopicTarget {
  const main = fileURLToPath(new URL(`../../server/main${extension}`, import.meta.url))
  const command = [
    process.execPath,
    ...runner,
    main,
    'serve',
    '--port',
    '0',
    '--engine',
    engine,
    '--data',
    'memory',
    ...flags,
  ]
  return {
    name: `fanfare ${engine}`,
    protocol: 'fanfare.v1',
    subscriberPath: '/',
    publisherPath: '/',
    subscribe: { say: '{"type":"subscribe","sub":1,"pattern":"bench"}', hear: '"subscribed"' },
    greet: { say: '{"type":"hello"}', hear: '"welcome"' },
    publish(payloads, firstSeq) {
      const frames = payloads.map(
        (data, n) => `{"type":"publish","seq":${firstSeq + n},"topic":"bench","data":"${data}"}`,
      )
      const perMessage = Math.max(1, Math.floor(MESSAGE_BYTES / (frames[0]?.length ?? 1)))
      const messages = []
      for (let at = 0; at < frames.length; at += perMessage) {
        messages.push(clientFrame(`[${frames.slice(at, at + perMessage).join(',')}]`))
      }
      return Buffer.concat(messages)
    },
    ack: { text: '"receipt"', messages: 1 },
    subscribeTo: (topic) => ({ say: `{"type":"subscribe","sub":1,"pattern":"${topic}"}`, hear: '"subscribed"' }),
    publishAlone: (topic, data, seq) =>
      clientFrame(`{"type":"publish","seq":${seq},"topic":"${topic}","data":"${data}"}`),
    start: () => run(cores === 'one' ? onServerCore(command) : command, /"port":(\d+)/),
  }
}

/** A hub whose subscribers say what they have handled, as those of the client library do. */
export function asking(engine: string): Target {
  const target = fanfare(engine)
  const { say, hear } = target.subscribe as Greeting
  const subscribe = { say: `[{"type":"hello","checks":true},${say}]`, hear }
  return { ...target, name: `${target.name} asks`, subscribe, answersChecksOf: target.name }
}

/** A hub that runs already, at a ws: URL. What its process costs is not known here. */
export function runningHub(url: string, token: string | undefined): Target {
  const { hostname, port, pathname, search } = new URL(url)
  const path = pathname + search
  // Before the first frame, so that none of them has to say it.
  const protocol = token === undefined ? 'fanfare.v1' : `fanfare.v1, fanfare.token.${token}`
  return {
    ...fanfare('auto'),
    name: url,
    protocol,
    subscriberPath: path,
    publisherPath: path,
    async start() {
      const address = { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 80) }
      const probe = await openRaw(address, path, protocol).catch((error) => {
        throw new FanfareError('hub_unreachable', `The hub at ${url} cannot be reached: ${error.message}.`)
      })
      probe.destroy()
      return { ...address, pid: undefined, stop: async () => {} }
    },
  }
}

function simple(name: string, file: string): Target {
  const server = fileURLToPath(new URL(`./servers/${file}${extension}`, import.meta.url))
  return {
    name,
    protocol: undefined,
    subscriberPath: '/',
    publisherPath: '/publish',
    subscribe: undefined,
    greet: undefined,
    publish: (payloads) => Buffer.concat(payloads.map((data) => clientFrame(data))),
    ack: { text: '!', messages: 1 },
    start: () => run(onServerCore([process.execPath, ...runner, server]), /listening (\d+)/),
  }
}

export const plainWs = simple('ws, a send each', 'plain-ws')
export const nativeUws = simple('uWS publish', 'native-uws')

/** What can be started here with the package alone: both engines, and what to compare them with. */
export const localTargets = [fanfare('ws'), fanfare('uws'), plainWs, nativeUws]

const NATS = '/usr/sbin/nats-server'

export const nats: TopicTarget = {
  name: 'nats-server',
  protocol: undefined,
  subscriberPath: '/',
  publisherPath: '/',
  subscribe: { say: 'CONNECT {"verbose":false}\r\nSUB bench 1\r\nPING\r\n', hear: 'PONG' },
  greet: { say: 'CONNECT {"verbose":false}\r\nPING\r\n', hear: 'PONG' },
  publish(payloads) {
    const lines = payloads.map((data) => `PUB bench ${data.length}\r\n${data}\r\n`)
    return clientFrame(`${lines.join('')}PING\r\n`, true)
  },
  ack: { text: 'PONG', messages: BATCH },
  subscribeTo: (topic) => ({ say: `CONNECT {"verbose":false}\r\nSUB ${topic} 1\r\nPING\r\n`, hear: 'PONG' }),
  publishAlone: (topic, data) => clientFrame(`PUB ${topic} ${data.length}\r\n${data}\r\n`, true),
  async start() {
    const folder = mkdtempSync(join(tmpdir(), 'fanfare-nats-'))
    const config = join(folder, 'nats.conf')
    const port = 20_000 + Math.floor(Math.random() * 10_000)
    writeFileSync(
      config,
      `listen: "127.0.0.1:${port + 1}"\nwebsocket { host: "127.0.0.1", port: ${port}, no_tls: true }\n`,
    )
    const running = await run(onServerCore([NATS, '-c', config]), /Server is ready/)
    rmSync(folder, { recursive: true })
    return { ...running, port }
  },
}

/** Why a target cannot be run here, in a sentence; or nothing. */
export function missing(target: Target): string | undefined {
  if (target === nats && !existsSync(NATS)) return `${NATS} is not there: install Debian's package nats-server`
  if (target !== nativeUws && target.name !== 'fanfare uws') return undefined
  try {
    // It can be installed without a binary for this Node.
    createRequire(import.meta.url)('uWebSockets.js')
    return undefined
  } catch (error) {
    return `uWebSockets.js does not load: ${(error as Error).message.split('\n')[0]}`
  }
}

/** Starts a server, and waits for what it prints when it is ready: its port. */
export async function run(command: readonly string[], ready: RegExp): Promise<Running> {
  const [file, ...args] = command
  const server = spawn(file as string, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, GOMAXPROCS: '1' },
  })
  // Stopping the load must not leave servers behind.
  const kill = () => server.kill('SIGKILL')
  process.once('exit', kill)
  const found = await firstMatch(server, ready)
  return {
    port: Number(found[1]),
    pid: processStats ? server.pid : undefined,
    async stop(signal = 'SIGKILL') {
      process.off('exit', kill)
      if (server.exitCode !== null) return
      server.kill(signal)
      await once(server, 'exit')
    },
  }
}

function firstMatch(server: ChildProcess, pattern: RegExp): Promise<RegExpExecArray> {
  return new Promise((resolve, reject) => {
    let text = ''
    const read = (chunk: Buffer) => {
      text = (text + chunk.toString()).slice(-10_000)
      const found = pattern.exec(text)
      if (found) resolve(found)
    }
    server.stdout?.on('data', read)
    server.stderr?.on('data', read)
    server.on('exit', (code) => reject(new Error(`The server ended with ${code}: ${text}`)))
  })
}
