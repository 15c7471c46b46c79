import { expect, it } from 'vitest'
import { connect, rawJson } from '../../client/node.ts'
import { fanfare, hubHere } from '../setup/command.ts'

/** What a parser and an encoder would change; a line break between tokens becomes a space, so that it stays one line. */
const SENT = '{ "id":9007199254740993,"big":1e400,\r\n"neg":-0,"b":"\\u00e9\\/","1":2,"b":1 }'
const SHOWN = SENT.replace('\r\n', '  ')

it('commands pass JSON on as it is, in and out', async () => {
  const { url } = await hubHere({ queues: [{ name: 'q' }] })
  const env = { FANFARE_URL: url }
  const client = connect(url)
  const responder = client.respond('ask', ({ raw }) => rawJson(raw ?? ''))
  await responder.ready

  const sub = fanfare(['sub', 'live', '--count', '2'], env)
  await sub.said('stderr', /Subscribed/)
  expect(await fanfare(['pub', 'live', SENT], env).exit).toBe(0)
  const lines = fanfare(['pub', 'live'], env)
  lines.process.stdin.end(`${SHOWN}\n`)
  expect(await lines.exit).toBe(0)
  expect(await sub.exit).toBe(0)
  expect(sub.stdout.trim().split('\n')).toEqual([
    expect.stringMatching(/^\{"id":.*"topic":"live"/),
    expect.stringContaining(`"data":${SHOWN}}`),
  ])
  expect(sub.stdout.split(`"data":${SHOWN}}`)).toHaveLength(3)

  const request = fanfare(['request', 'ask', SENT], env)
  expect(await request.exit).toBe(0)
  expect(request.stdout).toBe(`${SHOWN}\n`)

  expect(await fanfare(['pub', '--queue', 'q', SENT], env).exit).toBe(0)
  for await (const delivery of client.consume('q')) {
    expect(delivery.raw).toBe(SENT)
    await delivery.reject()
    break
  }
  const letters = fanfare(['queues', 'dead-letters', 'list', 'q', '--json'], env)
  expect(await letters.exit, letters.stderr).toBe(0)
  expect(letters.stdout).toContain(`"data":${SHOWN}}`)
  await client.close()
})
