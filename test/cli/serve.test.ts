import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fanfare, serve } from '../setup/command.ts'
import { ENGINES } from '../setup/engines.ts'
import { Peer } from '../setup/peer.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'fanfare-serve-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function configFile(content: string): string {
  const file = join(folder, 'hub.json')
  writeFileSync(file, content)
  return file
}

describe('configuration', () => {
  it('environment is stronger than the file, flags are stronger than both', async () => {
    const file = configFile(JSON.stringify({ port: 1, window: 11, subscriptions: 12, frameBytes: 1300 }))
    const { url } = await serve(['--config', file, '--frame-bytes', '3300'], {
      FANFARE_SUBSCRIPTIONS: '22',
      FANFARE_FRAME_BYTES: '2300',
    })
    const peer = await Peer.open(url)
    peer.send({ type: 'hello' })
    expect(await peer.next('welcome')).toMatchObject({ window: 11, limits: { subscriptions: 22, frameBytes: 3300 } })
    peer.socket.terminate()
  })

  it.each([
    ['a flag', ['--port', '70000', '--window', '0'], {}, ['port', 'window']],
    ['no number', ['--ping-interval', '5 seconds', '--engine', 'best'], {}, ['pingInterval', 'engine']],
    ['a variable', [], { FANFARE_PORT: 'first', FANFARE_LOG_LEVEL: 'loud' }, ['port', 'logLevel']],
    ['two that contradict', ['--frame-bytes', '2000', '--outbox-bytes', '1000'], {}, ['frameBytes']],
  ])('refuses %s, and names each field', async (_, args, env, fields) => {
    const command = fanfare(['serve', ...args], env)
    expect(await command.exit).toBe(2)
    expect(command.stderr).toMatch(/^fanfare: bad_config: /)
    for (const field of fields) expect(command.stderr).toContain(field)
  })

  it.each([
    ['{"prot": 1, "window": "many"}', ['no option "prot" (from ', 'Did you mean "port"?', 'window must be an integer']],
    ['{"port": null}', ['port must be an integer']],
    ['[]', ['must contain a JSON object']],
    ['{', ['hub.json cannot be read: ']],
  ])('refuses the file %s', async (content, words) => {
    const command = fanfare(['serve', '--config', configFile(content)])
    expect(await command.exit).toBe(2)
    expect(command.stderr).toMatch(/^fanfare: bad_config: /)
    for (const word of words) expect(command.stderr).toContain(word)
  })

  it('refuses a file that is not there, and an option that it does not know', async () => {
    const missing = fanfare(['serve', '--config', join(folder, 'none.json')])
    expect(await missing.exit).toBe(2)
    expect(missing.stderr).toMatch(/^fanfare: bad_config: .*none\.json/)
    const unknown = fanfare(['serve', '--prot', '1'])
    expect(await unknown.exit).toBe(2)
    expect(unknown.stderr).toContain("unknown option '--prot'")
  })
})

it.each(ENGINES)('says so when its port is in use, on %s', async (engine) => {
  const { port } = await serve(['--engine', engine])
  const second = fanfare(['serve', '--engine', engine, '--port', String(port)])
  expect(await second.exit).toBe(1)
  expect(second.stderr).toContain(`fanfare: port_in_use: The hub cannot listen on 127.0.0.1:${port}`)
  // It had no clients: its log says nothing of an end.
  expect(second.stdout + second.stderr).not.toMatch(/draining|closed/)
})

describe('where uWebSockets.js is not installed', () => {
  /** The package as it is installed, with all that it depends on and nothing else. */
  let main: string
  beforeAll(() => {
    const root = fileURLToPath(new URL('../..', import.meta.url))
    const modules = join(folder, 'node_modules')
    const home = join(modules, 'fanfare')
    mkdirSync(modules)
    for (const name of readdirSync(join(root, 'node_modules'))) {
      if (name !== 'uWebSockets.js' && !name.startsWith('.')) {
        symlinkSync(join(root, 'node_modules', name), join(modules, name))
      }
    }
    cpSync(join(root, 'dist'), join(home, 'dist'), { recursive: true })
    cpSync(join(root, 'package.json'), join(home, 'package.json'))
    main = join(home, 'dist/server/main.js')
  })

  it('--engine uws says what to do', async () => {
    const command = fanfare(['serve', '--port', '0', '--engine', 'uws'], {}, main)
    expect(await command.exit).toBe(1)
    expect(command.stderr).toMatch(
      /^fanfare: engine_missing: .* Run npm install uWebSockets\.js@npm:.*, or use --engine ws\.\n$/,
    )
  })

  it('--engine auto takes ws', async () => {
    const command = fanfare(['serve', '--port', '0', '--engine', 'auto'], {}, main)
    await command.said('stderr', /"engine":"ws".*"msg":"listening"/)
  })
})

it.runIf(ENGINES.includes('uws'))('--engine auto takes uws where it is installed', async () => {
  const { command } = await serve(['--engine', 'auto'])
  expect(command.stderr).toContain('"engine":"uws"')
})

it('--engine uws refuses a build without a native binary, and auto takes ws instead', async () => {
  const fallback = { UWS_USE_FALLBACK: 'true' }
  const command = fanfare(['serve', '--port', '0', '--engine', 'uws'], fallback)
  expect(await command.exit).toBe(1)
  expect(command.stderr).toMatch(/^fanfare: engine_missing: .*uWebSockets\.js has no native binary for /)
  const { command: auto } = await serve(['--engine', 'auto'], fallback)
  expect(auto.stderr).toContain('"engine":"ws"')
})
