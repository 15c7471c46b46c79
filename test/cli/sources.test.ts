import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { fanfare, hubHere, serve } from '../setup/command.ts'
import { Peer } from '../setup/peer.ts'
import { keyFolder, SECRET } from '../setup/tokens.ts'

const folder = keyFolder()
const KUBERNETES = {
  FANFARE_PORT: 'tcp://10.96.0.10:4747',
  FANFARE_SERVICE_HOST: '10.96.0.10',
  FANFARE_SERVICE_PORT: '4747',
  FANFARE_PORT_4747_TCP: 'tcp://10.96.0.10:4747',
  FANFARE_PORT_4747_TCP_ADDR: '10.96.0.10',
}

async function welcome(url: string) {
  const peer = await Peer.open(url)
  peer.send({ type: 'hello' })
  const frame = await peer.next('welcome')
  peer.socket.terminate()
  return frame
}

it.each(['tcp://10.96.0.10:4747', 'udp://[fd00::1]:4747'])(
  'starts alongside a Kubernetes Service called fanfare, and reports that %s is not its port',
  async (FANFARE_PORT) => {
    const file = folder.write('hub.json', '{"port": 0}')
    const { command, url } = await serve(['--config', file], { ...KUBERNETES, FANFARE_PORT })
    expect((await welcome(url)).protocol).toBe('fanfare.v1')
    expect(command.stderr).toMatch(/"variable":"FANFARE_PORT".*Kubernetes/)
  },
)

it('an empty variable is not set, whatever it is', async () => {
  const names = [
    'PORT',
    'HOST',
    'LOG_LEVEL',
    'ENGINE',
    'DATA',
    'WINDOW',
    'MESSAGES_PER_SECOND',
    'ANONYMOUS',
    'JWT_SECRET',
  ]
  const others = ['JWT_SECRET_FILE', 'JWKS_URL', 'ALLOWED_ORIGINS', 'TRUSTED_PROXIES', 'TLS_CERT_FILE', 'TLS_KEY_FILE']
  const env = Object.fromEntries([...names, ...others].map((name) => [`FANFARE_${name}`, name.length % 2 ? '' : '  ']))
  const file = folder.write('empty.json', JSON.stringify({ window: 77, allowedOrigins: ['https://a.example'] }))
  const { url } = await serve(['--config', file], env)
  expect((await welcome(url)).window).toBe(77)
  const page = await fetch(url.replace('ws:', 'http:'), { headers: { origin: 'https://a.example' } })
  expect(page.status).not.toBe(403)
  // The commands that ask a hub read variables too.
  const asked = fanfare(['queues', '--url', url], { FANFARE_TOKEN: '' })
  expect(await asked.exit, asked.stderr).toBe(0)
})

it.each([
  [
    { FANFARE_WINDOW: ' 51 ', FANFARE_PING_INTERVAL: '1.5e4', FANFARE_FRAME_BYTES: '64 KiB' },
    { window: 51, pingIntervalMs: 15_000, limits: { frameBytes: 65_536 } },
  ],
  [
    { FANFARE_WINDOW: '"51"', FANFARE_PING_INTERVAL: ' 90s ', FANFARE_FRAME_BYTES: '64ki' },
    { window: 51, pingIntervalMs: 90_000, limits: { frameBytes: 65_536 } },
  ],
  [
    { FANFARE_WINDOW: '1e3', FANFARE_FRAME_BYTES: '0.5 MiB' },
    { window: 1000, limits: { frameBytes: 524_288 } },
  ],
  [
    { FANFARE_WINDOW: '+51', FANFARE_FRAME_BYTES: '100kB', FANFARE_OUTBOX_BYTES: '1 MB' },
    { window: 51, limits: { frameBytes: 100_000 } },
  ],
  [
    {
      FANFARE_WINDOW: '51.0',
      FANFARE_LOG_LEVEL: 'INFO',
      FANFARE_ENGINE: ' WS',
      FANFARE_COMPRESSION: 'Off',
      FANFARE_ANONYMOUS: 'Allow',
    },
    { window: 51 },
  ],
])('reads %o as it is meant', async (env, frame) => {
  const { url } = await serve([], env as Record<string, string>)
  expect(await welcome(url)).toMatchObject(frame)
})

it('reads a number between quotes in the file, as templates write it', async () => {
  const file = folder.write('quoted.json', '{"window": "51", "frameBytes": "64 KiB", "logLevel": "INFO"}')
  const { url } = await serve(['--config', file])
  expect(await welcome(url)).toMatchObject({ window: 51, limits: { frameBytes: 65_536 } })
})

describe('an error names the field, its source, its value, and what is expected', () => {
  it.each([
    [{ FANFARE_PORT: 'abc' }, [], 'port', '0 to 65535', '"abc" from FANFARE_PORT'],
    [{ FANFARE_PORT: '65536' }, [], 'port', '0 to 65535', '65536 from FANFARE_PORT'],
    [{ FANFARE_PORT: '10.96.0.10:4747' }, [], 'port', 'an integer', '"10.96.0.10:4747" from FANFARE_PORT'],
    [{ FANFARE_LOG_LEVEL: 'loud' }, [], 'logLevel', 'debug, info, warn', '"loud" from FANFARE_LOG_LEVEL'],
    [{ FANFARE_OUTBOX_BYTES: '1 M' }, [], 'outboxBytes', 'bytes', '"1 M" from FANFARE_OUTBOX_BYTES'],
    [{ FANFARE_ANONYMOUS: 'yes' }, [], 'auth.anonymous', 'loopback', '"yes" from FANFARE_ANONYMOUS'],
    [{}, ['--port', 'tcp://10.96.0.10:4747'], 'port', 'an integer', '"tcp://10.96.0.10:4747" from --port'],
    [{}, ['--window', '1.5'], 'window', '1 or more', '1.5 from --window'],
    [{}, ['--window', ''], 'window', '1 or more', '"" from --window'],
    [{}, ['--ping-interval', '1e12'], 'pingInterval', '1 ms to 366 days', '1000000000000 from --ping-interval'],
    [{}, ['--drain-timeout', '9007199254740991'], 'drainTimeout', '366 days', '9007199254740991 from --drain-timeout'],
    [{}, ['--anonymous', 'yes'], 'auth.anonymous', 'loopback', '"yes" from --anonymous'],
    [{ FANFARE_WINDOW: '7' }, ['--window', '0'], 'window', '1 or more', '0 from --window'],
  ])('%o %j', async (env, args, field, expected, got) => {
    const command = fanfare(['serve', ...args], env as Record<string, string>)
    expect(await command.exit).toBe(2)
    const [, words, value] = /^fanfare: bad_config: (.* must be .*) \(got (.*)\)\.$/m.exec(command.stderr) ?? []
    expect(words, command.stderr).toMatch(new RegExp(`^${field} `))
    expect(words).toContain(expected)
    expect(value).toBe(got)
  })

  it('in the file', async () => {
    const file = folder.write('wrong.json', '{"port": "tcp://10.96.0.10:4747", "window": null, "prot": 1}')
    const command = fanfare(['serve', '--config', file])
    expect(await command.exit).toBe(2)
    expect(command.stderr).toMatch(/port must be .*0 to 65535/)
    expect(command.stderr).toContain(`(got "tcp://10.96.0.10:4747" from ${file})`)
    expect(command.stderr).toContain(`(got null from ${file})`)
    expect(command.stderr).toContain(`"prot" (from ${file})`)
  })

  it('and never a secret', async () => {
    const auth = {
      apiKeys: [{ name: 'service', hash: 'fanfare_this-is-the-key-itself' }],
      jwt: { keys: [{ secretFile: 7 }] },
    }
    const command = fanfare(['serve', '--config', folder.write('secret.json', JSON.stringify({ auth }))])
    expect(await command.exit).toBe(2)
    expect(command.stderr).toContain('auth.apiKeys.0.hash must be ')
    expect(command.stderr).not.toContain('the-key-itself')
  })
})

it.each([3_000_000_000, 2 ** 32])('a ping interval of %i ms costs neither time nor memory', async (ms) => {
  const { url } = await serve(['--ping-interval', String(ms), '--hello-timeout', String(ms)])
  expect((await welcome(url)).pingIntervalMs).toBe(ms)
})

it.each([
  ['nothing', {}, false],
  ['a number', { FANFARE_PORT: ' "%" ' }, true],
  ['what Kubernetes sets', KUBERNETES, false],
  ['nothing in it', { FANFARE_PORT: '' }, false],
])('the health check of the image asks the port of the hub, with %s in the variable', async (_, env, own) => {
  const page = readFileSync(new URL('../../docs/operations/Dockerfile', import.meta.url), 'utf8')
  const [node, ...args] = JSON.parse(/HEALTHCHECK .*CMD \\\n\s*(\[.*\])/.exec(page)?.[1] as string) as string[]
  expect(node).toBe('node')
  const { port } = await hubHere()
  // The port of the image's hub is for this test that of a hub of its own.
  const command = own ? args : args.map((arg) => arg.replace('4747', String(port)))
  const set = Object.fromEntries(Object.entries(env).map(([name, text]) => [name, text.replace('%', String(port))]))
  await promisify(execFile)(process.execPath, command, { env: { PATH: process.env['PATH'], ...set } })
})

it('a token that is made says on standard error what the hub will not take as it is meant', async () => {
  const secretFile = folder.write('jwt.secret', SECRET)
  const config = join(secretFile, '..', 'roles.json')
  writeFileSync(
    config,
    JSON.stringify({ auth: { jwt: { keys: [{ secretFile }] }, roles: { default: { publish: ['t.${tenant}'] } } } }),
  )
  const token = async (...args: string[]) => {
    const command = fanfare(['token', '--config', config, ...args])
    return { code: await command.exit, out: command.stdout, said: command.stderr }
  }
  expect(await token('--subject', 'ann', '--publish', 'users.${sub}.#')).toMatchObject({ code: 0, said: '' })
  const escaped = await token('--subject', 'auth0|5f7c', '--publish', 'users.${sub}.#')
  expect(escaped).toMatchObject({ code: 0, out: expect.stringMatching(/^ey/) })
  expect(escaped.said).toContain('in users.${sub}.# the subject is auth0~7C5f7c')
  expect((await token('--subject', 'é'.repeat(100), '--publish', 'users.${sub}.#')).said).toContain('permits nothing')
  expect((await token('--subject', 'ann', '--publish', 'a.${team}')).said).toContain('a.${team} permits nothing')
  expect((await token('--subject', 'ann')).said).toContain('t.${tenant} permits nothing')
  expect((await token('--subject', 'ann', '--role', 'none')).said).toContain('no role "none"')
  expect(await token('--subject', '')).toMatchObject({ code: 2, out: '' })
  const long = await token('--subject', 'ann', '--claim', `groups=${'x'.repeat(17_000)}`)
  expect(long).toMatchObject({ code: 2, out: '', said: expect.stringContaining('16384') })
  expect((await token('--subject', 'ann', '--claim', 'permissions={"publish":["a..b"]}')).code).toBe(2)
})
