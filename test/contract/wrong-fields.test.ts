import { expect, it } from 'vitest'
import { onEveryEngine } from '../setup/hubs.ts'
import { Peer } from '../setup/peer.ts'

/** Each frame of a client with the fields that it may have; the numbers and names mean nothing to the hub. */
const FRAMES: Readonly<Record<string, unknown>>[] = [
  { type: 'authenticate', seq: 5, token: 'x' },
  { type: 'publish', seq: 5, topic: '$queue.no', id: 'a', key: 'k', headers: { a: 'b' }, expiresAt: 1, data: 1 },
  { type: 'publish', seq: 5, topic: '$queue.no', delayMs: 1, priority: 1, ttlMs: 1 },
  { type: 'subscribe', sub: 5, pattern: 'a', stream: 'no', from: 'earliest', policy: 'pause', buffer: 5 },
  { type: 'subscribe', sub: 5, pattern: 'a', cursor: 'c', filter: { all: { a: 'b' } } },
  { type: 'unsubscribe', sub: 5, finish: true },
  { type: 'pause', sub: 5 },
  { type: 'resume', sub: 5 },
  { type: 'commit', sub: 5, stream: 'no', cursor: 'c', offset: 5 },
  { type: 'consume', consumer: 5, queue: 'no', prefetch: 1, ackDeadlineMs: 1000 },
  { type: 'begin', consumer: 5, delivery: 5 },
  { type: 'return', consumer: 5, delivery: 5 },
  { type: 'stop', consumer: 5 },
  { type: 'cancel', consumer: 5 },
  { type: 'ack', consumer: 5, delivery: 5, publish: [{ topic: '$queue.no' }] },
  { type: 'nack', consumer: 5, delivery: 5, delayMs: 5, error: 'e' },
  { type: 'reject', consumer: 5, delivery: 5, error: 'e' },
  { type: 'extend', consumer: 5, delivery: 5, ms: 5 },
  { type: 'respond', sub: 5, pattern: 'a' },
  { type: 'ask', seq: 5, topic: 'a', timeoutMs: 5, headers: { a: 'b' }, data: 1 },
  { type: 'reply', request: 5, error: 'e', data: 1 },
  { type: 'call', seq: 5, method: 'queues.show', params: { name: 'no' } },
  { type: 'call', seq: 5, method: 'deadLetters.redrive', params: { name: 'no', to: 'no' } },
]
const WRONG: readonly unknown[] = [null, true, 7, -1, 1.5, 'x', '$queue.no', [], ['a'], {}, { name: 7, to: [] }]

onEveryEngine('a frame with a field of a wrong kind', (hubs) => {
  it.each(FRAMES)('is an error of its sender, and none of the hub: $type', async (frame) => {
    const { url, http } = await hubs.start()
    for (const field of Object.keys(frame)) {
      await Promise.all(WRONG.map((value) => dealtWith(url, { ...frame, [field]: value })))
      const readiness = await (await fetch(`${http}/readyz`)).json()
      expect({ field, readiness }).toEqual({ field, readiness: { status: 'ready' } })
    }
  })
})

/** Sends a frame, and returns when the hub has answered all that came of it or has closed the connection. */
async function dealtWith(url: string, frame: object): Promise<void> {
  const peer = await Peer.hello(url)
  // The parts of a connection are there from its first sound frame on.
  await peer.settled()
  peer.send(frame)
  await Promise.race([peer.settled(), peer.closed]).catch(() => peer.closed)
  peer.terminate()
}
