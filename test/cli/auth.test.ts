import { decodeJwt, decodeProtectedHeader } from 'jose'
import { expect, it } from 'vitest'
import { fanfare, serve } from '../setup/command.ts'
import { keyFolder, rsa, SECRET, sign } from '../setup/tokens.ts'

const folder = keyFolder()
const secretFile = folder.write('secret', SECRET)
const status = async (port: number, path: string, host = '127.0.0.1') =>
  (await fetch(`http://${host}:${port}${path}`)).status

it.each([
  ['nothing is said', ['--host', '0.0.0.0']],
  ['nothing is said, on IPv6', ['--host', '::']],
  ['only this machine is to be let in', ['--host', '0.0.0.0', '--anonymous', 'loopback']],
])('a hub that others reach does not start where %s', async (_, args) => {
  const command = fanfare(['serve', '--port', '0', '--engine', 'ws', ...args])
  expect(await command.exit).toBe(2)
  expect(command.stderr).toMatch(/^fanfare: bad_config: .*auth\.jwt.*anonymous: "allow"/)
  expect(command.stdout + command.stderr).not.toContain('listening')
})

it.each([
  ['only this machine', [], 200],
  ['a name of it', ['--host', 'localhost'], 200],
  ['others, explicitly', ['--host', '0.0.0.0', '--anonymous', 'allow'], 200],
  ['others, with tokens', ['--host', '0.0.0.0', '--jwt-secret-file', secretFile], 401],
  // Behind a proxy all connections come from this machine: the peer's address does not count.
  [
    'others, with tokens, and admits this machine without one',
    ['--host', '0.0.0.0', '--anonymous', 'loopback', '--jwt-secret-file', secretFile],
    401,
  ],
  ['only this machine, with tokens', ['--jwt-secret-file', secretFile], 401],
  ['only this machine, with tokens or without', ['--jwt-secret-file', secretFile, '--anonymous', 'loopback'], 200],
] as const)('a hub that listens for %s', async (_, args, expected) => {
  const { port } = await serve(args)
  const host = args.includes('localhost' as never) ? 'localhost' : '127.0.0.1'
  expect(await status(port, '/healthz', host)).toBe(200)
  expect(await status(port, '/v1/queues', host)).toBe(expected)
})

it.each([
  ['no way to authenticate', ['--anonymous', 'deny'], 'auth.anonymous'],
  ['the mode is none', ['--anonymous', 'yes'], 'auth.anonymous'],
  ['the secret is short', ['--jwt-secret-file', folder.write('short', 'password')], 'has 8)'],
  [
    'the secret is a public key',
    ['--jwt-secret-file', folder.write('pem', rsa.publicKey.export({ type: 'spki', format: 'pem' }) as string)],
    'publicKeyFile',
  ],
  ['the secret is not there', ['--jwt-secret-file', '/none/there'], 'ENOENT'],
  ['keys come over a connection that others can change', ['--jwks-url', 'http://example.com/keys'], 'jwksUrl'],
])('a hub does not start where %s', async (_, args, words) => {
  const command = fanfare(['serve', '--port', '0', '--engine', 'ws', ...args])
  expect(await command.exit).toBe(2)
  expect(command.stderr).toMatch(/^fanfare: bad_config: /)
  expect(command.stderr).toContain(words)
})

it('makes a token and an API key that the hub accepts, with their permissions', async () => {
  const made = fanfare(['api-key', '--json'])
  expect(await made.exit).toBe(0)
  const [{ key, hash }] = made.lines as [{ key: string; hash: string }]
  const config = folder.write(
    'hub.json',
    JSON.stringify({
      auth: {
        jwt: { keys: [{ secretFile }], audience: 'fanfare', issuer: 'me' },
        apiKeys: [{ name: 'service', hash, role: 'reader' }],
        roles: { reader: { subscribe: ['#'], consume: ['#'] } },
      },
    }),
  )
  const { url } = await serve(['--config', config])
  const args = ['--subject', 'ann', '--config', config, '--publish', 'a.*', '--claim', 'level=7', '--expires', '2m']
  const token = fanfare(['token', ...args])
  expect(await token.exit, token.stderr).toBe(0)
  const jwt = token.stdout.trim()
  const { exp = 0, ...claims } = decodeJwt(jwt)
  expect(claims).toMatchObject({ sub: 'ann', aud: 'fanfare', iss: 'me', level: 7, permissions: { publish: ['a.*'] } })
  expect(exp * 1000 - Date.now()).toBeGreaterThan(100_000)

  const reader = fanfare(['sub', 'a.#', '--url', url, '--count', '1'], { FANFARE_TOKEN: key })
  const refused = fanfare(['pub', 'b.c', '1', '--url', url, '--token', jwt])
  const nobody = fanfare(['queues', '--url', url])
  const listed = fanfare(['queues', '--url', url], { FANFARE_TOKEN: key })
  expect(await Promise.all([refused.exit, nobody.exit, listed.exit])).toEqual([1, 1, 0])
  expect(refused.stderr).toMatch(/^fanfare: forbidden: "ann" needs publish permission for b\.c\./)
  expect(nobody.stderr).toMatch(/^fanfare: unauthenticated: /)
  await reader.said('stderr', /Subscribed/)
  expect(await fanfare(['pub', 'a.b', '1', '--url', url, '--token', jwt]).exit).toBe(0)
  expect(await reader.exit).toBe(0)
})

it('makes tokens with private keys, and says what is missing', async () => {
  const keyFile = folder.write('rsa.pem', rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string)
  const signed = fanfare(['token', '--subject', 'ann', '--key-file', keyFile, '--admin'])
  expect(await signed.exit, signed.stderr).toBe(0)
  expect(decodeProtectedHeader(signed.stdout.trim())).toEqual({ alg: 'RS256', typ: 'JWT' })
  expect(decodeJwt(signed.stdout.trim())).toMatchObject({ permissions: { admin: true } })
  const mistakes: [string[], string][] = [
    [[], 'Use --secret-file'],
    [['--secret-file', secretFile, '--publish', 'a..b'], 'publish.0: '],
    [['--secret-file', secretFile, '--expires', 'soon'], '--expires must be '],
    [['--secret-file', secretFile, '--claim', 'role'], 'name=value'],
    [['--key-file', secretFile], 'secret cannot be read: '],
  ]
  await Promise.all(
    mistakes.map(async ([args, words]) => {
      const command = fanfare(['token', '--subject', 'ann', ...args])
      expect(await command.exit).toBe(2)
      expect(command.stderr).toMatch(/^fanfare: .*\n$/)
      expect(command.stderr).toContain(words)
    }),
  )
})

it('takes the secret from the environment', async () => {
  const env = { FANFARE_JWT_SECRET: SECRET }
  const { url } = await serve([], env)
  const token = fanfare(['token', '--subject', 'ann', '--admin'], env)
  expect(await token.exit, token.stderr).toBe(0)
  for (const FANFARE_TOKEN of [token.stdout.trim(), await sign({ permissions: { publish: ['a'] } })]) {
    expect(await fanfare(['pub', 'a', '1', '--url', url], { FANFARE_TOKEN }).exit).toBe(0)
  }
})
