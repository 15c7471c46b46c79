import { expect, it } from 'vitest'
import { type Delivery, rawJson } from '../../client/node.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { streamWorlds } from '../setup/streams.ts'

const TEXT = '{"id":9007199254740993,"big":1e400,"neg":-0,"data":{"data":[1.0,"\\u00e9\\/"]},"1":2,\n "1" : 3}'

onEveryEngine('raw JSON in a client', (hubs) => {
  const worlds = streamWorlds(hubs)

  it('is the published text, next to the parsed data, for each message of a batch and each subscription', async () => {
    const client = (await worlds()).client()
    const seen: { data: unknown; raw: string | undefined; keys: string[] }[] = []
    const done = new Promise<void>((resolve) => {
      for (const pattern of ['live.#', 'live.a']) {
        client.subscribe(pattern, (message) => {
          seen.push({ data: message.data, raw: message.raw, keys: Object.keys(message) })
          if (seen.length === 6) resolve()
        })
      }
    })
    await client.call('hub.whoami')
    await Promise.all([
      client.publish('live.a', rawJson(TEXT)),
      client.publish('live.a', { plain: 1 }),
      client.publish('live.a', new Uint8Array([1])),
    ])
    await done
    expect(seen.map(({ raw }) => raw).sort()).toEqual([TEXT, TEXT, '{"plain":1}', '{"plain":1}', undefined, undefined])
    for (const { data, raw, keys } of seen) {
      if (raw !== undefined) expect(data).toEqual(JSON.parse(raw))
      expect(keys).toEqual(['id', 'topic', 'data'])
    }
  })

  it('comes from streams, queues, dead letters, and with an ack', async () => {
    const { client } = await worlds({ queues: [{ name: 'q' }] })
    const one = client()
    await one.publish('s.a', rawJson(TEXT))
    await one.publish('s.a', 1)
    for await (const { raw } of one.subscribe('s.a', { from: 'earliest' })) {
      expect(raw).toBe(TEXT)
      break
    }
    await one.enqueue('q', rawJson(TEXT))
    await one.enqueue('q', 2)
    const consumer = one.consume('q')
    const deliveries: Delivery[] = []
    for await (const delivery of consumer) {
      deliveries.push(delivery)
      await delivery.reject()
      if (deliveries.length === 2) break
    }
    expect(deliveries.map(({ raw }) => raw)).toEqual([TEXT, '2'])
    const letters = await one.admin.queues.deadLetters.list('q')
    expect(letters.map(({ message }) => message.raw)).toEqual([TEXT, '2'])
    expect(letters.map(({ message }) => message.data)).toEqual([JSON.parse(TEXT), 2])
    await one.admin.queues.deadLetters.redrive('q')
    const published = one.subscribe('acked')
    await published.ready
    for await (const delivery of one.consume('q')) {
      expect(delivery.raw).toBe(TEXT)
      await delivery.ack({ publish: [{ topic: 'acked', data: rawJson(delivery.raw ?? '') }] })
      break
    }
    for await (const { raw } of published) {
      expect(raw).toBe(TEXT)
      break
    }
  })

  it('reaches a responder and a requester', async () => {
    const client = (await worlds()).client()
    const responder = client.respond('echo', ({ raw }) => (raw === undefined ? undefined : rawJson(raw)))
    await responder.ready
    expect(await client.request('echo', rawJson(TEXT), { raw: true })).toBe(TEXT)
    expect(await client.request('echo', rawJson(TEXT))).toEqual(JSON.parse(TEXT))
    expect(await client.request('echo', undefined, { raw: true })).toBeUndefined()
  })

  it('is checked before it is sent', () => {
    const codeOf = (text: string) => {
      try {
        rawJson(text)
        return 'fine'
      } catch (error) {
        return (error as { code: string }).code
      }
    }
    expect(codeOf('{"a":01}')).toBe('bad_data')
    expect(codeOf('1,"topic":"other"')).toBe('bad_data')
    expect(codeOf('{"\\u005f_proto__":1}')).toBe('forbidden_key')
    expect(codeOf('['.repeat(101) + ']'.repeat(101))).toBe('nested_too_deeply')
    expect(codeOf(' { "a" : 1 } ')).toBe('fine')
  })
})
