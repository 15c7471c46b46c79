import { describe, expect, it } from 'vitest'
import { fanfare, serve } from '../setup/command.ts'
import { ENGINES } from '../setup/engines.ts'
import { handshake, makePair, PairFiles } from '../setup/tls.ts'

const first = makePair('first')
const second = makePair('second')

describe.each(ENGINES)('fanfare serve with TLS, on %s', (engine) => {
  it('is spoken to by the other commands, and reads its files again on SIGHUP', async () => {
    const files = new PairFiles(first)
    const { certFile, keyFile } = files
    const hub = await serve(['--engine', engine, '--tls-cert-file', certFile], { FANFARE_TLS_KEY_FILE: keyFile })
    const pub = (env: Record<string, string>) =>
      fanfare(['pub', '--url', `wss://localhost:${hub.port}`, '--timeout', '2000', 't', '1'], env)
    const [trusted, other] = [pub({ NODE_EXTRA_CA_CERTS: certFile }), pub({})]
    expect(await trusted.exit, trusted.stderr).toBe(0)
    expect(await other.exit).toBe(1)
    expect(other.stderr).toContain('hub_unreachable')

    files.write({ cert: second.cert })
    hub.command.signal('SIGHUP')
    await hub.command.said('stderr', /the certificate cannot be reloaded: keeping the previous one/)
    expect((await handshake(hub.port))[0]).toBe('first')
    files.write({ key: second.key })
    hub.command.signal('SIGHUP')
    await hub.command.said('stderr', /certificate reloaded: new connections use it/)
    expect((await handshake(hub.port))[0]).toBe('second')
  })
})

it('SIGHUP does no harm to a hub without TLS that runs in no terminal', async () => {
  const hub = await serve(['--engine', 'ws'])
  hub.command.signal('SIGHUP')
  await hub.command.said('stderr', /"signal":"SIGHUP"/)
  expect((await fetch(`http://127.0.0.1:${hub.port}/readyz`)).status).toBe(200)
})
