import { expect, it } from 'vitest'
import { connect } from '../../client/node.ts'
import { createHub, type Permissions, startHub } from '../../server/index.ts'
import { onEveryEngine } from '../setup/hubs.ts'

const PERMISSIONS: Readonly<Record<string, Permissions>> = {
  root: { admin: true },
  worker: { consume: ['mail'] },
  publisher: { publish: ['$queue.mail', '$queue.mails', '$queue.order'] },
}

onEveryEngine('nearest names', (hubs) => {
  async function start() {
    const { url, http } = await hubs.start({
      auth: {
        authenticate: ({ token }) => ({
          subject: 'ann',
          permissions: PERMISSIONS[token ?? ''] ?? {},
        }),
      },
      queues: [{ name: 'orders' }, { name: 'mails' }],
      streams: [{ name: 'photos', topics: ['photos.#'] }],
    })
    return { http, client: (token = 'root') => connect(url, { token }) }
  }

  it('a refusal of a queue or stream names the one that was probably meant', async () => {
    const { client } = await start()
    await using own = client()
    const { queues, streams } = own.admin
    const meant = (name: string) => ({ message: expect.stringContaining(`Did you mean "${name}"?`) })
    await expect(own.enqueue('oders', 1)).rejects.toMatchObject({ code: 'no_queue', ...meant('orders') })
    await expect(own.consume('mail', () => {}).ready).rejects.toMatchObject({ code: 'no_queue', ...meant('mails') })
    await expect(queues.show('order')).rejects.toMatchObject(meant('orders'))
    await expect(queues.delete('order')).rejects.toMatchObject(meant('orders'))
    await expect(queues.purge('order')).rejects.toMatchObject(meant('orders'))
    await expect(queues.deadLetters.count('order')).rejects.toMatchObject(meant('orders'))
    await expect(own.call('deadLetters.redrive', { name: 'orders', to: 'mais' })).rejects.toMatchObject(meant('mails'))
    await expect(streams.show('photo')).rejects.toMatchObject({ code: 'no_stream', ...meant('photos') })
    await expect(own.subscribe('photos.#', { stream: 'fotos' }).ready).rejects.toMatchObject(meant('photos'))
    await expect(queues.show('invoices')).rejects.toThrow(
      'There is no queue "invoices". Declare it, or correct its name.',
    )
  })

  it('over HTTP, too, one by one and in a batch', async () => {
    const { http } = await start()
    const post = async (path: string, body: unknown) => {
      const headers = { authorization: 'Bearer root', 'content-type': 'application/json' }
      return (await fetch(`${http}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })).json()
    }
    const meant = (name: string) => ({ status: 404, detail: expect.stringContaining(`Did you mean "${name}"?`) })
    expect(await post('/v1/queues/oders/messages', 1)).toMatchObject(meant('orders'))
    const batch = await post('/v1/publish', [{ topic: '$queue.mail' }, { topic: 'a' }, { topic: '$queue.order' }])
    expect(batch).toMatchObject([meant('mails'), { id: expect.any(String) }, meant('orders')])
  })

  it('but only one that the client sees', async () => {
    const { client } = await start()
    await using own = client('worker')
    await expect(own.consume('mail', () => {}).ready).rejects.toThrow('There is no queue "mail". Declare it')
    await expect(own.call('queues.show', { name: 'mail' })).rejects.toThrow('There is no queue "mail". Declare it')
    await using publisher = client('publisher')
    await expect(publisher.enqueue('mail', 1)).rejects.toThrow('There is no queue "mail". Did you mean "mails"?')
    await expect(publisher.enqueue('order', 1)).rejects.toThrow('There is no queue "order". Declare it')
  })

  it('a call with an unknown method or parameter is refused, and names the nearest', async () => {
    const { client, http } = await start()
    await using own = client()
    await expect(own.call('queues.lst')).rejects.toMatchObject({
      code: 'unknown_method',
      message: 'The hub has no method "queues.lst". Did you mean "queues.list"?',
    })
    await expect(own.call('queues.declare', { name: 'q', maxAttempt: 3 })).rejects.toMatchObject({
      code: 'bad_params',
      message: 'queues.declare has no option "maxAttempt". Did you mean "maxAttempts"?',
    })
    await expect(own.call('queues.find', { fliter: 'q' })).rejects.toMatchObject({
      code: 'bad_params',
      message: 'queues.find has no option "fliter". Did you mean "filter"?',
    })
    await expect(own.call('queues.declare', { name: 'q', bindings: [{ topik: 'a' }] })).rejects.toThrow(
      /no option "bindings\.0\.topik"\. Did you mean "topic"\?/,
    )
    const response = await fetch(`${http}/v1/queues`, {
      method: 'POST',
      headers: { authorization: 'Bearer root', 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'q', overflo: 'block' }),
    })
    expect(await response.json()).toMatchObject({ detail: expect.stringContaining('Did you mean "overflow"?') })
  })
})

it('a hub names the nearest option, at any depth', async () => {
  const refused = (options: object) => startHub({ port: 0, ...options } as never).then(() => 'started', String)
  expect(await refused({ prot: 1 })).toContain('no option "prot". Did you mean "port"?')
  expect(await refused({ drainTimeoutMs: 1 })).toContain('no option "drainTimeoutMs". Did you mean "drainTimeout"?')
  expect(await refused({ auth: { autenticate: () => undefined } })).toContain(
    'no option "auth.autenticate". Did you mean "authenticate"?',
  )
  // The name of another option is the beginning of these.
  expect(await refused({ clusterPasswordfile: 'x' })).toContain('Did you mean "clusterPasswordFile"?')
  expect(await refused({ clusterPrefx: 'x' })).toContain('Did you mean "clusterPrefix"?')
  expect(await refused({ auth: { roles: { viewer: { subscrib: ['a'] } } } })).toContain('Did you mean "subscribe"?')
  expect(await refused({ queues: [{ name: 'q', maxAttempt: 3 }] })).toContain('Did you mean "maxAttempts"?')
  expect(await refused({ tls: { crtFile: 'a', keyFile: 'b' } })).toContain('Did you mean "certFile"?')
  expect(await refused({ colour: 'red' })).toMatch(/no option "colour"\.$/)
  await expect(createHub({ pth: '/live' } as never)).rejects.toThrow('no option "pth". Did you mean "path"?')
})
