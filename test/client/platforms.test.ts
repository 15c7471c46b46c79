import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createContext, runInContext } from 'node:vm'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { type Hub, startHub } from '../../server/index.ts'
import { decodeUtf8, encodeUtf8 } from '../../shared/utf8.ts'

const BUNDLE = readFileSync(fileURLToPath(new URL('../../dist/browser/fanfare.js', import.meta.url)), 'utf8')

let hub: Hub
beforeAll(async () => {
  hub = await startHub({ port: 0 })
})
afterAll(() => hub.close())

/** The bundle as a script, in a realm that has only JavaScript itself and what is given. */
function world(given: object): (code: string) => unknown {
  const [, exported = ''] = /export\s*\{([^}]*)\};?\s*$/.exec(BUNDLE) ?? []
  const fields = exported.split(',').map((each) => each.trim().split(' as '))
  const script = BUNDLE.replace(/export\s*\{[^}]*\};?\s*$/, '')
  const context = createContext({ WebSocket, setTimeout, clearTimeout, setInterval, clearInterval, ...given })
  const api = fields.map(([own, name = own]) => `${name}: ${own}`).join(', ')
  runInContext(`${script}\nglobalThis.fanfare = { ${api} }`, context)
  return (code) => runInContext(code, context)
}

/** A user's program. It returns JSON, since each realm has its own objects. */
const program = (url: string) => `(async () => {
  const client = fanfare.connect('${url}')
  const seen = []
  const done = new Promise((resolve) => {
    client.subscribe('t.#', ({ topic, data }) => {
      seen.push([topic, data instanceof Uint8Array ? Array.from(data) : data])
      if (seen.length === 2) resolve()
    })
  })
  await client.ready()
  const ids = [await client.publish('t.text', { text: 'Zoë 🎈' }), await client.publish('t.bytes', Uint8Array.of(1, 2, 255))]
  await done
  await client.admin.queues.declare({ name: 'jobs' })
  await client.enqueue('jobs', 'work', { headers: { name: 'Zoë' } })
  const job = await new Promise((resolve) => {
    const consumer = client.consume('jobs', ({ data, message }) => void resolve([data, message.headers.name]))
  })
  const reply = client.respond('ask', ({ data }) => data + 1)
  await reply.ready
  seen.push(job, await client.request('ask', 41), fanfare.topicWord('Zoë'))
  const gone = client.publish('t', 1, { signal: { aborted: true, addEventListener() {}, removeEventListener() {} } })
  await gone.catch(({ name }) => seen.push(name))
  await client.close()
  return JSON.stringify({ seen, ids: ids.map(({ id }) => id) })
})()`

class AbortController {
  readonly signal = { aborted: false, addEventListener() {}, removeEventListener() {} }
  abort() {}
}

class Lenient {
  constructor(_: string, options?: { readonly fatal?: boolean }) {
    if (options?.fatal) throw new RangeError("The 'fatal' option is unsupported.")
  }
}

it.each([
  ['nothing but timers and a WebSocket', { AbortController }],
  ['a TextDecoder that refuses fatal', { AbortController, TextEncoder, TextDecoder: Lenient }],
  ['a crypto without getRandomValues', { AbortController, TextEncoder, TextDecoder, crypto: {} }],
  [
    'all that a browser has',
    { AbortController: globalThis.AbortController, TextEncoder, TextDecoder, crypto, performance },
  ],
])('the bundle publishes, subscribes, consumes and asks with %s', async (_, given) => {
  const said = await world(given)(program(`ws://127.0.0.1:${hub.port}`))
  const { seen, ids } = JSON.parse(said as string) as { seen: unknown[]; ids: string[] }
  expect(seen).toEqual([
    ['t.text', { text: 'Zoë 🎈' }],
    ['t.bytes', [1, 2, 255]],
    ['work', 'Zoë'],
    42,
    'Zo~C3~AB',
    'AbortError',
  ])
  for (const id of ids) expect(id).toMatch(/^[\w-]{14}\.\w+$/)
})

it('a platform without WebSocket has to be given one', () => {
  const run = world({ WebSocket: undefined })
  expect(run(`(() => { try { fanfare.connect('ws://x') } catch ({ code }) { return code } })()`)).toBe('no_websocket')
})

it('the replacement of TextEncoder and TextDecoder behaves the same', async () => {
  const texts = ['', 'plain', 'Zoë 🎈 \u0000 \u2028 %41', '\ud800 half', 'x\udc00', '\ufeffmark']
  const broken = [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82], [0x80]]
  const { TextEncoder, TextDecoder } = globalThis
  const module = '../../shared/utf8.ts?without'
  Reflect.deleteProperty(globalThis, 'TextEncoder')
  Reflect.deleteProperty(globalThis, 'TextDecoder')
  let other: typeof import('../../shared/utf8.ts')
  let encoded: Uint8Array[]
  try {
    other = await import(/* @vite-ignore */ module)
    encoded = texts.map(other.encodeUtf8)
    other.decodeUtf8(Uint8Array.of(65))
  } finally {
    Object.assign(globalThis, { TextEncoder, TextDecoder })
  }
  expect(encoded).toEqual(texts.map(encodeUtf8))
  expect(encoded.map(other.decodeUtf8)).toEqual(encoded.map(decodeUtf8))
  for (const bytes of broken) expect(() => other.decodeUtf8(Uint8Array.from(bytes))).toThrow()
})

it('ids of two clients differ without crypto', async () => {
  const given = { AbortController }
  const url = `ws://127.0.0.1:${hub.port}`
  const prefix = async () => {
    const { ids } = JSON.parse((await world(given)(program(url))) as string) as { ids: string[] }
    return ids[0]?.slice(0, 12)
  }
  expect(await prefix()).not.toBe(await prefix())
})
