import { execFileSync } from 'node:child_process'
import { on, once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { RunningCommand, serve, shell } from './setup/command.ts'
import { freePort } from './setup/free-port.ts'
import { onEveryEngine } from './setup/hubs.ts'
import { examples } from './setup/page.ts'

type Examples = [string, string, string, string, string, string, string, string, string]

const PORT = '4747'
// Inside the package, where its own name leads to what was built.
const FOLDER = fileURLToPath(new URL('./output/readme/', import.meta.url))
// Where the package is installed `npx` finds its command here. In the package itself it would first build an installation of
// its own, and take `dist` away from the tests that run meanwhile.
const COMMAND = fileURLToPath(new URL('../node_modules/.bin/fanfare', import.meta.url))
beforeAll(() => {
  mkdirSync(FOLDER, { recursive: true })
  if (!existsSync(COMMAND)) symlinkSync('../../dist/server/main.js', COMMAND)
})
afterAll(() => rmSync(FOLDER, { recursive: true, force: true }))

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
      ...['```ts', '```sh', '```ts', '```sh', '```js', '```ts', '```ts', '```ts', '```ts'],
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
    const listener = shell(listen, env)
    await listener.said('stderr', /subscribed/)
    expect(await shell(publish, env).exit).toBe(0)
    await listener.said('stdout', /\n/)
    expect(listener.lines).toEqual([{ id: expect.any(String), topic: 'photos.uploaded', data: { name: 'a.jpg' } }])
  })

  it('declares a stream in a file, publishes, reads and shows it with the commands it gives', async () => {
    const file = `${FOLDER}fanfare.json`
    writeFileSync(file, examples('README.md', 'json')[0] as string)
    const port = String(await freePort())
    const hub = shell(serveStreams.replace('fanfare.json', file), { FANFARE_PORT: port, FANFARE_DATA: 'memory' })
    await hub.said('stderr', /"msg":"listening"/)
    const user = shell(useStreams, { FANFARE_URL: `ws://127.0.0.1:${port}` })
    expect(await user.exit, user.stderr).toBe(0)
    const [message, ...shown] = user.stdout.split('\n')
    expect(JSON.parse(message as string)).toMatchObject({ offsets: { orders: 0 }, data: { total: 12 } })
    expect(shown.join('\n')).toMatch(/^cursor +reports at 1, 0 behind$/m)
  })

  it('declares a queue, publishes and lists it with the commands it gives', async () => {
    const { url } = await serve()
    const user = shell(useQueues, { FANFARE_URL: url })
    expect(await user.exit, user.stderr).toBe(0)
    expect(user.stdout).toMatch(/^attempts +3, /m)
    expect(user.stdout).toMatch(/^scans +scans\.# +1 /m)
  })

  it('makes a secret and a token, and refuses what that does not permit, with the commands it gives', async () => {
    const here = (commands: string) => commands.replaceAll('jwt.secret', `${FOLDER}jwt.secret`)
    const port = String(await freePort())
    const hub = shell(here(serveSafely), { FANFARE_PORT: port, FANFARE_DATA: 'memory' })
    await hub.said('stderr', /"msg":"listening"/)
    const user = shell(here(useToken), { FANFARE_URL: `ws://127.0.0.1:${port}` })
    expect(await user.exit).toBe(1)
    expect(user.stderr).toMatch(/^fanfare: forbidden: ann may not publish: users\.bob\.note\..*\n$/)
  })

  it('publishes and listens over HTTP with the commands it gives', async () => {
    const { port } = await serve()
    const user = shell(useHttp.replaceAll(PORT, String(port)))
    // The last one ends when its time is up.
    expect(await user.exit, user.stderr).toBe(28)
    expect(user.stdout).toMatch(/"id":"ada-1","positions":.*"queues":\["mails"\]/)
    expect(user.stdout).toMatch(/"wantedConsumers":\d/)
    expect(user.stdout).toMatch(
      /^id: [\w-]+:1\ndata: \{"id":"ada-1".*\n\nid: [\w-]+:2\ndata: .*"base64":"YW55IGJ5dGVz"/m,
    )
  })

  it.each([
    ['a client', 0, 'photos.uploaded a.jpg\n'],
    ['a stream', 1, 'on the disk at 1\n0 { total: 12 }\n1 { total: 7 }\n'],
    ['a queue', 2, "on the disk in [ 'thumbnails' ]\nattempt 1 at a.jpg\nattempt 2 at a.jpg\nready: a.jpg\n"],
    ['a request', 3, '6\nno_responder\n'],
    ['typed topics', 4, expect.stringMatching(/^A\.JPG\n6\.0\nbad_data On "prices\.gold", at euros: .*\n$/)],
    ['a chain', 5, 'duplicate: false\nduplicate: true\ninvoice-of-order-17 { total: 12 }\n'],
    ['an idempotent handler', 6, 'charged 12\n'],
    ['a hub inside a program', 7, expect.stringMatching(/^\d+\n$/)],
    ['a program that knows its users', 8, 'forbidden\n'],
    ['a trace', 9, "the same trace: true\n[ 'traceparent' ]\n"],
    ['a test', 10, 'calls: 1\ncalls: 2\n'],
  ])('has TypeScript that compiles and works: %s', async (name, index, output) => {
    const example = examples('README.md', 'ts')[index] as string
    const { port } = await serve()
    const file = `${FOLDER}${name.replaceAll(' ', '-')}.ts`
    writeFileSync(file, example.replaceAll(PORT, String(port)).replaceAll("'./", `'${FOLDER}`))
    const strict = ['--ignoreConfig', '--noEmit', '--strict', '--skipLibCheck', '--types', 'node']
    const target = ['--module', 'nodenext', '--target', 'es2023', '--lib', 'es2023,dom']
    execFileSync('npx', ['tsc', ...strict, ...target, file], { stdio: 'pipe', encoding: 'utf8' })
    const program = new RunningCommand(process.execPath, ['--import', 'tsx', file])
    expect(await program.exit, program.stderr).toBe(0)
    expect(program.stdout).toEqual(output)
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
