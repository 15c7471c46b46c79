import { afterEach, beforeEach, expect, it } from 'vitest'
import { connect } from '../../client/node.ts'
import { ScriptedHub, WELCOME } from './scripted-hub.ts'

let hub: ScriptedHub
beforeEach(async () => {
  hub = await ScriptedHub.start()
})
afterEach(() => hub.stop())

it('a request to a hub that is out of reach ends after its time', async () => {
  const client = connect('ws://127.0.0.1:1/')
  await expect(client.request('a', 1, { timeout: 30 })).rejects.toMatchObject({ code: 'request_timeout' })
  await client.close()
})

it('so does one to a hub that has stopped answering, and a later reply is ignored', async () => {
  const client = hub.connect()
  const peer = await hub.peer()
  await peer.next('hello')
  peer.send(WELCOME)
  await client.ready()
  const late = expect(client.request('a', 1, { timeout: 300 })).rejects.toMatchObject({ code: 'request_timeout' })
  const { seq, timeoutMs } = await peer.next('ask')
  expect(timeoutMs).toBeGreaterThan(0)
  expect(timeoutMs).toBeLessThanOrEqual(300)
  await late
  peer.send({ type: 'answer', seq, data: 'too late' })
  const next = client.request('a', 2)
  const ask = await peer.next('ask')
  peer.send({ type: 'answer', seq: ask.seq, data: 'in time' })
  expect(await next).toBe('in time')
})

it('the signal of the caller ends a request before its time, connected or not', async () => {
  const reason = new Error('changed my mind')
  const offline = connect('ws://127.0.0.1:1/')
  await expect(offline.request('a', 1, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  const stop = new AbortController()
  const waiting = offline.request('a', 1, { signal: stop.signal })
  stop.abort(reason)
  await expect(waiting).rejects.toBe(reason)
  await offline.close()
})
