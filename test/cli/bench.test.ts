import { expect, it } from 'vitest'
import { hashApiKey } from '../../server/auth/api-key.ts'
import { fanfare, hubHere, serve } from '../setup/command.ts'
import { ENGINES } from '../setup/engines.ts'

const SMALL = ['--subscribers', '5', '--rate', '200', '--seconds', '1']
const FIGURES = '[\\d,]+ +[\\d.]+ %'
const LATENCY = '[\\d.]+ ms +[\\d.]+ ms +[\\d.]+ ms'

it('measures a running hub', async () => {
  const { url } = await serve(['--window', '16', '--engine', 'ws'])
  const bench = fanfare(['bench', '--url', url, ...SMALL, '--publishers', '2', '--stalled', '1', '--size', '5000'])
  expect(await bench.exit).toBe(0)
  const [what, , head, row] = bench.stdout.split('\n')
  expect(what).toMatch(
    /^5000 bytes from 2 publishers to 5 subscribers of which 1 do not read, at 200 messages\/s, measured for 1 second/,
  )
  expect(head).toMatch(/deliveries\/s +delivered .* p50 +p99 +p99\.9 +memory/)
  expect(row).toMatch(new RegExp(`^${url} +${FIGURES} +${LATENCY}$`))
})

it('says who it is to a hub that wants to know', async () => {
  const token = `fanfare_${'a'.repeat(43)}`
  const { url } = await hubHere({
    auth: {
      apiKeys: [{ name: 'bench', hash: hashApiKey(token), permissions: { publish: ['bench'], subscribe: ['bench'] } }],
    },
  })
  const unknown = fanfare(['bench', '--url', url, ...SMALL])
  expect(await unknown.exit).toBe(1)
  const known = fanfare(['bench', '--url', url, ...SMALL, '--token', token])
  expect(await known.exit).toBe(0)
  expect(known.stdout).toMatch(new RegExp(FIGURES))
})

it.runIf(ENGINES.includes('uws'))('starts hubs of its own, and what to compare them with', async () => {
  const bench = fanfare(['bench', ...SMALL])
  expect(await bench.exit).toBe(0)
  for (const name of ['fanfare ws', 'fanfare uws', 'ws, a send each', 'uWS publish']) {
    const cost = '[\\d.]+ µs +\\d+ %'
    expect(bench.stdout).toMatch(new RegExp(`^${name} +${FIGURES} +${cost} +${LATENCY} +\\d+ MB +\\d+ MB$`, 'm'))
  }
})

it('says so where there is no hub, or none that takes what it sends', async () => {
  const { command, url } = await serve(['--frame-bytes', '4000'])
  const refused = fanfare(['bench', '--url', url, ...SMALL, '--size', '5000'])
  expect(await refused.exit).toBe(1)
  expect(refused.stderr).toContain('fanfare: connection_lost: ')
  command.signal('SIGTERM')
  await command.exit
  const nobody = fanfare(['bench', '--url', url, ...SMALL])
  expect(await nobody.exit).toBe(1)
  expect(nobody.stderr).toContain(`fanfare: hub_unreachable: The hub at ${url} cannot be reached: `)
})
