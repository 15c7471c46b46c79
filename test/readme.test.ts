import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { RunningCommand, serve, shell } from './setup/command.ts'
import { freePort } from './setup/free-port.ts'
import { onEveryEngine } from './setup/hubs.ts'
import { examples } from './setup/page.ts'

const PORT = '4747'
// Inside the package, where its own name leads to what was built.
const FOLDER = fileURLToPath(new URL('./output/readme/', import.meta.url))
beforeAll(() => mkdirSync(FOLDER, { recursive: true }))
afterAll(() => rmSync(FOLDER, { recursive: true, force: true }))

describe('the README', () => {
  const [install, listen, publish] = examples('README.md', 'sh') as [string, string, string]

  it('has examples of these languages, and each has a test', () => {
    const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
    expect(readme.match(/^```\w+/gm)).toEqual(['```sh', '```sh', '```sh', '```html', '```ts', '```ts'])
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

  it.each([
    ['a client', 0, 'photos.uploaded a.jpg\n'],
    ['a hub inside a program', 1, expect.stringMatching(/^\d+\n$/)],
  ])('has TypeScript that compiles and works: %s', async (name, index, output) => {
    const example = examples('README.md', 'ts')[index] as string
    const { port } = await serve()
    const file = `${FOLDER}${name.replaceAll(' ', '-')}.ts`
    writeFileSync(file, example.replaceAll(PORT, String(port)))
    const strict = ['--ignoreConfig', '--noEmit', '--strict', '--skipLibCheck', '--types', 'node']
    const target = ['--module', 'nodenext', '--target', 'es2023', '--lib', 'es2023,dom']
    execFileSync('npx', ['tsc', ...strict, ...target, file], { stdio: 'pipe', encoding: 'utf8' })
    const program = new RunningCommand(process.execPath, ['--import', 'tsx', file])
    expect(await program.exit, program.stderr).toBe(0)
    expect(program.stdout).toEqual(output)
  })
})

onEveryEngine('the dialogue of PROTOCOL.md', (hubs) => {
  it('goes as it is written, where … stands for what differs', async () => {
    const [dialogue] = examples('PROTOCOL.md', '') as [string]
    const lines = dialogue.trimEnd().split('\n')
    expect(lines.map((line) => line.slice(0, 2))).toEqual(['> ', '< ', '> ', '< '])
    const { url } = await hubs.start()
    const socket = new WebSocket(url)
    await once(socket, 'open')
    for (let at = 0; at < lines.length; at += 2) {
      const [said, answer] = lines.slice(at, at + 2).map((line) => line.slice(2)) as [string, string]
      const heard = once(socket, 'message')
      socket.send(said)
      expect(String((await heard)[0])).toMatch(pattern(answer))
    }
    socket.terminate()
  })
})

function pattern(text: string): RegExp {
  const id = '[\\w-]+'
  const escaped = text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
  return new RegExp(`^${escaped.replace(/"\w+…/g, `"${id}`)}$`)
}
