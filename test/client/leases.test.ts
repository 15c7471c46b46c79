import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Delivery } from '../../client/node.ts'
import { VirtualClock } from '../kit/virtual-clock.ts'
import { message, type Peer, ScriptedHub, settle } from './scripted-hub.ts'

let hub: ScriptedHub
beforeEach(async () => {
  hub = await ScriptedHub.start()
})
afterEach(() => hub.stop())

/** Answers the next consume with one delivery; every restarted hub counts them from 1. */
async function lease(peer: Peer, data: unknown, ackDeadlineMs = 60_000): Promise<number> {
  const { consumer, queue } = await peer.next('consume')
  peer.send({ type: 'consuming', consumer, queue, prefetch: 16, ackDeadlineMs })
  peer.send({ type: 'delivery', consumer, delivery: 1, attempt: 1, message: message(data) })
  return consumer
}

it('a delivery of an earlier connection is never settled on the next one, where its number belongs to another', async () => {
  const { client, peer } = await hub.connected()
  const deliveries = client.consume('q')[Symbol.asyncIterator]()
  await lease(peer, 'old')
  const old = (await deliveries.next()).value as Delivery
  peer.socket.close(4000)
  const again = await hub.peer()
  await again.welcome()
  const consumer = await lease(again, 'new')
  const fresh = (await deliveries.next()).value as Delivery
  old.extend(1000)
  await expect(old.ack()).rejects.toMatchObject({ code: 'lease_lost' })
  const acked = fresh.ack()
  expect(await again.next('ack')).toEqual({ type: 'ack', consumer, delivery: 1 })
  again.send({ type: 'settled', consumer, deliveries: [1] })
  await acked
})

it.each([60 * 86_400_000, 2 ** 32, 1e12])(
  'a handler of a lease of %i ms extends it at half of its time, and not all the time',
  async (ms) => {
    const clock = new VirtualClock()
    const { client, peer } = await hub.connected({ clock })
    let done = () => {}
    client.consume('q', () => new Promise<void>((resolve) => (done = resolve)))
    const consumer = await lease(peer, 'long', ms)
    await clock.advance(10_000, settle)
    expect(peer.unreadFrames).toEqual([])
    done()
    expect(await peer.next('ack')).toMatchObject({ consumer, delivery: 1 })
  },
)

it('every close() of a consumer waits for the handler that runs', async () => {
  const { client, peer } = await hub.connected()
  let done = () => {}
  const consumer = client.consume('q', () => new Promise<void>((resolve) => (done = resolve)))
  const number = await lease(peer, 1)
  await consumer.ready
  await expect.poll(() => done.length).toBe(1)
  const ended: string[] = []
  const both = [consumer.close().then(() => ended.push('first')), consumer.close().then(() => ended.push('second'))]
  await new Promise((resolve) => setImmediate(resolve))
  expect(ended).toEqual([])
  done()
  await peer.next('ack')
  peer.send({ type: 'settled', consumer: number, deliveries: [1] })
  await Promise.all(both)
  expect(ended.toSorted()).toEqual(['first', 'second'])
})

it('every unsubscribe() waits for the hub', async () => {
  const { client, peer } = await hub.connected()
  const subscription = client.subscribe('a')
  await peer.subscribed()
  await subscription.ready
  const first = subscription.unsubscribe()
  const second = subscription.unsubscribe()
  expect(await Promise.race([second.then(() => 'ended'), Promise.resolve('waits')])).toBe('waits')
  await Promise.all([first, second])
  await subscription.unsubscribe()
})

it('nor is a request of an earlier connection answered on the next one', async () => {
  const { client, peer } = await hub.connected()
  const replies: ((reply: unknown) => void)[] = []
  client.respond('a', () => new Promise((resolve) => replies.push(resolve)))
  const request = { type: 'request', request: 1, topic: 'a' }
  peer.send({ ...request, sub: (await peer.next('respond')).sub })
  await expect.poll(() => replies.length).toBe(1)
  peer.socket.close(4000)
  const again = await hub.peer()
  await again.welcome()
  again.send({ ...request, sub: (await again.next('respond')).sub })
  await expect.poll(() => replies.length).toBe(2)
  replies[0]?.('old')
  replies[1]?.('new')
  expect(await again.next('reply')).toEqual({ type: 'reply', request: 1, data: 'new' })
})

it('an ack that cannot be sent, or that the hub refuses, leaves the lease to be ended otherwise', async () => {
  const { client, peer } = await hub.connected()
  const deliveries = client.consume('q')[Symbol.asyncIterator]()
  const consumer = await lease(peer, 'x')
  const delivery = (await deliveries.next()).value as Delivery
  const publish = (data: unknown, more: object = {}) => delivery.ack({ publish: [{ topic: 'b', data, ...more }] })
  await expect(publish(new Uint8Array(3))).rejects.toMatchObject({ code: 'bad_data' })
  await expect(publish(1, { priority: 10 })).rejects.toMatchObject({ code: 'bad_option' })
  await expect(publish('x'.repeat(100_000))).rejects.toMatchObject({ code: 'frame_too_large' })
  const full = publish(1)
  expect(await peer.next('ack')).toMatchObject({ consumer, delivery: 1, publish: [{ topic: 'b', data: 1 }] })
  peer.send({ type: 'error', code: 'queue_limit', message: 'Full.', retry: true, consumer, delivery: 1 })
  await expect(full).rejects.toMatchObject({ code: 'queue_limit' })
  expect(delivery.settled).toBe(false)
  const nacked = delivery.nack({ error: 'full' })
  expect(await peer.next('nack')).toEqual({ type: 'nack', consumer, delivery: 1, error: 'full' })
  peer.send({ type: 'settled', consumer, deliveries: [1] })
  await nacked
  await expect(delivery.ack()).rejects.toMatchObject({ code: 'lease_lost' })
})

it('a handler whose ack was refused nacks with the reason', async () => {
  const { client, peer } = await hub.connected()
  client.consume('q', (delivery) => delivery.ack({ publish: [{ topic: 'b' }] }))
  const consumer = await lease(peer, 'x')
  await peer.next('ack')
  peer.send({ type: 'error', code: 'queue_limit', message: 'Full.', retry: true, consumer, delivery: 1 })
  const { error } = await peer.next('nack')
  expect(error).toContain('Full.')
  peer.send({ type: 'settled', consumer, deliveries: [1] })
})

it('a refused consumer rejects ready and is thrown by the iterator', async () => {
  const { client, peer } = await hub.connected()
  const consumer = client.consume('q')
  const { consumer: number } = await peer.next('consume')
  peer.send({ type: 'error', code: 'no_queue', message: 'No.', retry: false, consumer: number })
  await expect(consumer.ready).rejects.toMatchObject({ code: 'no_queue' })
  await expect(consumer[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'no_queue' })
})
