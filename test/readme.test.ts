import { spawnSync } from 'node:child_process'
import { on, once } from 'node:events'
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { hubHere, RunningCommand, shell } from './setup/command.ts'
import { freePort } from './setup/free-port.ts'
import { onEveryEngine } from './setup/hubs.ts'
import { examples } from './setup/page.ts'

type Examples = [string, string, string, string, string, string, string, string, string]

const PORT = '4747'
// A project in which the package is installed: in the package itself `npx` would first build an installation of its own, and take
// `dist` away from the tests that run meanwhile. Inside of the package, whose dependencies it finds there.
const PACKAGE = fileURLToPath(new URL('..', import.meta.url))
const PROJECT = join(PACKAGE, 'test/output/readme')
const TSC = join(PACKAGE, 'node_modules/typescript/bin/tsc')
beforeAll(() => {
  rmSync(PROJECT, { recursive: true, force: true })
  mkdirSync(join(PROJECT, 'node_modules/.bin'), { recursive: true })
  writeFileSync(join(PROJECT, 'package.json'), '{"type": "module"}')
  symlinkSync(PACKAGE, join(PROJECT, 'node_modules/fanfare'))
  symlinkSync('../fanfare/dist/server/main.js', join(PROJECT, 'node_modules/.bin/fanfare'))
})
afterAll(() => rmSync(PROJECT, { recursive: true, force: true }))

/** Runs commands of the README in that project. */
const run = (commands: string, env?: Record<string, string>) => shell(commands, env, PROJECT)

describe('the README', () => {
  const [install, listen, publish, serveStreams, useStreams, useQueues, useHttp, serveSafely, useToken] = examples(
    'README.md',
    'sh',
  ) as Examples

  it('has examples of these languages, and each has a test', () => {
    const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
    expect(readme.match(/^```\w+/gm)).toEqual([
      ...['```sh', '```sh', '```sh', '```html', '```ts'],
      ...['```json', '```sh', '```sh', '```ts'],
      ...['```ts', '```sh', '```ts', '```ts', '```sh', '```js', '```ts', '```ts', '```ts', '```ts'],
      ...['```sh', '```sh', '```ts', '```ts', '```ts'],
    ])
  })

  it('starts a hub, listens and publishes with the commands it gives', async () => {
    // This runs inside of the second line, after the `npm ci` of both.
    const [start, test] = install.split('\n').map((line) => line.replace(/\s*#.*/, ''))
    expect(test).toBe('npm ci && npm test')
    expect(start).toMatch(/^npm ci && /)
    const port = String(await freePort())
    const hub = shell((start as string).replace('npm ci && ', ''), { FANFARE_PORT: port, FANFARE_DATA: 'memory' })
    await hub.said('stderr', new RegExp(`"port":${port}.*"msg":"listening"`))
    const env = { FANFARE_URL: `ws://127.0.0.1:${port}` }
    const listener = run(listen, env)
    await listener.said('stderr', /Subscribed/)
    expect(await run(publish, env).exit).toBe(0)
    await listener.said('stdout', /\n/)
    expect(listener.lines).toEqual([{ id: expect.any(String), topic: 'photos.uploaded', data: { name: 'a.jpg' } }])
  })

  it('declares a stream in a file, publishes, reads and shows it with the commands it gives', async () => {
    writeFileSync(join(PROJECT, 'fanfare.json'), examples('README.md', 'json')[0] as string)
    const port = String(await freePort())
    const hub = run(serveStreams, { FANFARE_PORT: port, FANFARE_DATA: 'memory' })
    await hub.said('stderr', /"msg":"listening"/)
    const user = run(useStreams, { FANFARE_URL: `ws://127.0.0.1:${port}` })
    expect(await user.exit, user.stderr).toBe(0)
    const [message, ...shown] = user.stdout.split('\n')
    expect(JSON.parse(message as string)).toMatchObject({ offsets: { orders: 0 }, data: { total: 12 } })
    expect(shown.join('\n')).toMatch(/^cursor +reports at 1, 0 behind$/m)
  })

  it('declares a queue, publishes and lists it with the commands it gives', async () => {
    const { url } = await hubHere()
    const user = run(useQueues, { FANFARE_URL: url })
    expect(await user.exit, user.stderr).toBe(0)
    expect(user.stdout).toMatch(/^attempts +3, /m)
    expect(user.stdout).toMatch(/^scans +scans\.# +1 /m)
  })

  it('makes a secret and a token, and refuses what that does not permit, with the commands it gives', async () => {
    const port = String(await freePort())
    const hub = run(serveSafely, { FANFARE_PORT: port, FANFARE_DATA: 'memory' })
    await hub.said('stderr', /"msg":"listening"/)
    const user = run(useToken, { FANFARE_URL: `ws://127.0.0.1:${port}` })
    expect(await user.exit).toBe(1)
    expect(user.stderr).toMatch(/^fanfare: forbidden: ann may not publish: users\.bob\.note\..*\n$/)
  })

  it('publishes and listens over HTTP with the commands it gives', async () => {
    const { port } = await hubHere()
    const user = run(useHttp.replaceAll(PORT, String(port)))
    // The last one ends when its time is up.
    expect(await user.exit, user.stderr).toBe(28)
    expect(user.stdout).toMatch(/"id":"ada-1","positions":.*"queues":\["mails"\]/)
    expect(user.stdout).toMatch(/"wantedConsumers":\d/)
    expect(user.stdout).toMatch(
      /^id: [\w-]+:1\ndata: \{"id":"ada-1".*\n\nid: [\w-]+:2\ndata: .*"base64":"YW55IGJ5dGVz"/m,
    )
  })
})

describe('the TypeScript of the README', () => {
  const PROGRAMS = [
    ['a client', 'photos.uploaded a.jpg\n'],
    ['a stream', 'on the disk at 1\n0 { total: 12 }\n1 { total: 7 }\n'],
    // The receipt and the first delivery come at once.
    [
      'a queue',
      expect.stringMatching(
        /^(attempt 1 at a\.jpg\non the disk in \[ 'thumbnails' \]|on the disk in \[ 'thumbnails' \]\nattempt 1 at a\.jpg)\nattempt 2 at a\.jpg\nready: a\.jpg\n$/,
      ),
    ],
    ['a request', '6\nno_responder\n'],
    ['errors of handlers', "bill 12.00\nset aside { total: 'twelve' }\n"],
    ['typed topics', expect.stringMatching(/^A\.JPG\n6\.0\nbad_data On "prices\.gold", at euros: .*\n$/)],
    ['a chain', 'duplicate: false\nduplicate: true\ninvoice-of-order-17 { total: 12 }\n'],
    ['an idempotent handler', 'charged 12\n'],
    ['a hub inside a program', 'placed /17\n202\n'],
    ['a program that knows its users', 'forbidden\n'],
    ['a trace', "the same trace: true\n[ 'traceparent' ]\n"],
    ['a test', 'calls: 1\ncalls: 2\n'],
  ] as const
  const file = (name: string, ending: string) => join(PROJECT, `${name.replaceAll(' ', '-')}.${ending}`)

  it('compiles', () => {
    const programs = examples('README.md', 'ts')
    expect(programs).toHaveLength(PROGRAMS.length)
    const files = PROGRAMS.map(([name], at) => {
      writeFileSync(file(name, 'ts'), programs[at] as string)
      return file(name, 'ts')
    })
    // All at once: what takes the time is reading the declarations of the packages.
    const strict = ['--ignoreConfig', '--strict', '--skipLibCheck', '--types', 'node']
    const target = ['--module', 'nodenext', '--target', 'es2023', '--lib', 'es2023,dom']
    const { stdout } = spawnSync(process.execPath, [TSC, ...strict, ...target, ...files], { encoding: 'utf8' })
    expect(stdout).toBe('')
  })

  it.each(PROGRAMS)('works: %s', async (name, output) => {
    const { port } = await hubHere()
    const program = readFileSync(file(name, 'js'), 'utf8')
    writeFileSync(file(name, 'js'), program.replaceAll(PORT, String(port)))
    const running = new RunningCommand(process.execPath, [file(name, 'js')], {}, PROJECT)
    expect(await running.exit, running.stderr).toBe(0)
    expect(running.stdout).toEqual(output)
  })
})

onEveryEngine('the dialogues of PROTOCOL.md', (hubs) => {
  it.each(examples('PROTOCOL.md', ''))(
    'go as they are written, where … stands for what differs: %#',
    async (dialogue) => {
      const { url } = await hubs.start()
      const socket = new WebSocket(url)
      const heard = on(socket, 'message')
      await once(socket, 'open')
      for (const line of dialogue.trimEnd().split('\n')) {
        const [direction, text] = [line.slice(0, 2), line.slice(2)]
        expect(['> ', '< ']).toContain(direction)
        if (direction === '> ') socket.send(text)
        else expect(String((await heard.next()).value[0])).toMatch(pattern(text))
      }
      socket.terminate()
    },
  )
})

/** An ellipsis behind the start of a word or a number stands for its rest, any other for anything. */
function pattern(text: string): RegExp {
  const escaped = text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
  const open = escaped.replace(/"\w+…/g, '"[\\w-]+').replace(/\d+…/g, '\\d+').replaceAll('…', '.*')
  return new RegExp(`^${open}$`)
}
