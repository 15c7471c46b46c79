import { createInterface } from 'node:readline'
import { beforeEach, expect, it } from 'vitest'
import { connect } from '../../client/node.ts'
import { fanfare, hubHere, type RunningCommand, serve, shell } from '../setup/command.ts'
import { freePort } from '../setup/free-port.ts'

let hub: Awaited<ReturnType<typeof hubHere>>
let env: { FANFARE_URL: string }
beforeEach(async () => {
  hub = await hubHere()
  env = { FANFARE_URL: hub.url }
})

/** Starts `fanfare sub`, and resolves when it is subscribed. */
async function sub(...args: string[]): Promise<RunningCommand> {
  const command = fanfare(['sub', ...args], env)
  await command.said('stderr', /^Subscribed at ws:/)
  return command
}

it('prints a line of JSON for each message, without colours if the output is not a terminal', async () => {
  const reader = await sub('photos.#', '--count', '4')
  expect(await fanfare(['pub', 'photos.a', '{"name":"a.jpg"}', '--key', 'k', '--header', 'kind=jpeg'], env).exit).toBe(
    0,
  )
  expect(await fanfare(['pub', 'photos.b', 'no JSON'], env).exit).toBe(0)
  const client = connect(hub.url)
  await client.publish('photos.bytes', new Uint8Array([0, 255, 10]))
  await client.publish('photos.none', undefined)
  await client.close()
  expect(await reader.exit).toBe(0)
  const id = expect.any(String)
  expect(reader.lines).toEqual([
    { id, topic: 'photos.a', key: 'k', headers: { kind: 'jpeg' }, data: { name: 'a.jpg' } },
    { id, topic: 'photos.b', data: 'no JSON' },
    { id, topic: 'photos.bytes', base64: 'AP8K' },
    { id, topic: 'photos.none' },
  ])
  expect(reader.stdout).not.toContain('\x1b')
})

it('publishes each line of standard input, in order', async () => {
  const reader = await sub('n', '--count', '2000', '--header', 'pass=yes')
  expect(await fanfare(['pub', 'n', 'not this one'], env).exit).toBe(0)
  const publisher = fanfare(['pub', 'n', '--header', 'pass=yes'], env)
  publisher.process.stdin.end(Array.from({ length: 2000 }, (_, n) => `${n}\n`).join(''))
  expect(await publisher.exit).toBe(0)
  expect(await reader.exit).toBe(0)
  expect(reader.lines.map((line) => (line as { data: number }).data)).toEqual(Array.from({ length: 2000 }, (_, n) => n))
})

it('works in pipes, and ends cleanly when its reader has had enough', async () => {
  const pipe = shell(`{ node dist/server/main.js sub n; echo "sub ended with $?" >&2; } | head -1`, env)
  await pipe.said('stderr', /Subscribed/)
  // The end of a pipe shows at the next write.
  const client = connect(hub.url)
  let ended = false
  const exit = pipe.exit.then((code) => {
    ended = true
    return code
  })
  for (let n = 0; !ended; n++) await client.publish('n', n)
  await client.close()
  expect(await exit).toBe(0)
  expect(pipe.lines).toEqual([{ id: expect.any(String), topic: 'n', data: 0 }])
  expect(pipe.stderr).toMatch(/^Subscribed at [^\n]*\nsub ended with 0\n$/)
})

it('prints a gap in its place when the reader of its output is slow', async () => {
  const reader = await sub('n')
  reader.process.stdout.pause()
  const client = connect(hub.url)
  const text = 'x'.repeat(10_000)
  const COUNT = 2000
  for (let n = 0; n < COUNT; n += 200) {
    await Promise.all(Array.from({ length: 200 }, (_, i) => client.publish('n', { n: n + i, text })))
  }
  await client.publish('n', 'last')
  await client.close()
  // By line: to look for it in all that came, at each of a thousand pieces, takes longer than everything else.
  const last = new Promise<void>((resolve) => {
    createInterface({ input: reader.process.stdout }).on('line', (line) => line.includes('"last"') && resolve())
  })
  reader.process.stdout.resume()
  await last
  reader.signal('SIGTERM')
  expect(await reader.exit).toBe(0)
  let next = 0
  let gaps = 0
  for (const line of reader.lines as { data: { n: number } | 'last'; gap?: { count: number } }[]) {
    if (line.gap) {
      gaps++
      next += line.gap.count
    } else expect(line.data === 'last' ? COUNT : line.data.n).toBe(next++)
  }
  expect(next).toBe(COUNT + 1)
  expect(gaps).toBeGreaterThan(0)
})

it('the first line that fails ends pub with the error, while its input is still open', async () => {
  const publisher = fanfare(['pub', '$reserved'], env)
  publisher.process.stdin.write('1\n2\n3\n')
  expect(await publisher.exit).toBe(1)
  expect(publisher.stderr).toMatch(/^fanfare: reserved_topic: /)
})

it('pub ends with an error when the hub goes away under it', async () => {
  const reader = await sub('n')
  const publisher = fanfare(['pub', 'n', '--timeout', '200ms'], env)
  publisher.process.stdin.write('1\n')
  await reader.said('stdout', /"data":1/)
  await hub.hub.close()
  publisher.process.stdin.write('2\n')
  expect(await publisher.exit).toBe(1)
  expect(publisher.stderr).toMatch(/^fanfare: (hub_unreachable|connection_lost): /)
})

it('pub gives up where no hub answers, sub waits for one and says so', async () => {
  const port = await freePort()
  const url = `ws://127.0.0.1:${port}`
  const publisher = fanfare(['pub', 'n', '1', '--url', url])
  expect(await publisher.exit).toBe(1)
  // At once, and with the platform's message: it does not wait for its timeout.
  expect(publisher.stderr).toMatch(/^fanfare: hub_unreachable: .*ECONNREFUSED 127\.0\.0\.1:\d+.*fanfare serve/)
  const reader = fanfare(['sub', 'n', '--url', url, '--count', '1'])
  await reader.said('stderr', /^Not connected to ws:.*, retrying\. .*ECONNREFUSED/)
  const late = await serve(['--port', String(port)])
  await reader.said('stderr', /Subscribed at/)
  expect(await fanfare(['pub', 'n', '1'], { FANFARE_URL: late.url }).exit).toBe(0)
  expect(await reader.exit).toBe(0)
  expect(reader.lines).toMatchObject([{ data: 1 }])
})

it('sub goes on when its stream is deleted and declared again, and says so', async () => {
  const declare = () => fanfare(['streams', 'declare', 'again', 'again.#'], env).exit
  expect(await declare()).toBe(0)
  const reader = fanfare(['sub', 'again.#', '--from', 'earliest', '--count', '1'], env)
  await reader.said('stderr', /Subscribed at/)
  expect(await fanfare(['streams', 'delete', 'again', '--yes'], env).exit).toBe(0)
  await reader.said('stderr', /^Refused for now, retrying: .*stream/m)
  expect(await declare()).toBe(0)
  await reader.said('stderr', /^Subscribed again\.$/m)
  expect(await fanfare(['pub', 'again.a', '1'], env).exit).toBe(0)
  expect(await reader.exit).toBe(0)
  expect(reader.lines).toMatchObject([{ gap: { reason: 'epoch' } }, { data: 1 }])
})

it.each([
  [['pub', 'a..b', '1'], 'bad_topic'],
  [['sub', 'a.#b'], 'bad_pattern'],
])('%j is refused with %s', async (args, words) => {
  const command = fanfare(args, env)
  expect(await command.exit).toBe(1)
  expect(command.stderr).toContain(`fanfare: ${words}`)
  expect(command.stdout).toBe('')
})
