import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { type Family, parseExposition } from '../setup/exposition.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { QueueReader } from '../setup/queues.ts'
import { publishNumbers, range, streamWorlds } from '../setup/streams.ts'

const file = (name: string) => readFileSync(new URL(`../../server/monitor/${name}`, import.meta.url), 'utf8')

onEveryEngine('metrics', (hubs) => {
  const start = streamWorlds(hubs)

  it('have the known values of known traffic', async () => {
    const { hub, client, peer } = await start({ queues: [{ name: 'q', maxAttempts: 1 }], outboxTotalBytes: 1_000_000 })
    const publisher = client()
    const reader = await peer()
    await reader.subscribe(1, 't.#')
    await publishNumbers(publisher, 't.a', 0, 7)
    await publishNumbers(publisher, 's.a', 0, 3)
    await Promise.all(range(0, 5).map((n) => publisher.enqueue('q', n)))
    const [held, acked, rejected] = await new QueueReader(client(), 'q', { prefetch: 3 }).take(3)
    await acked?.ack()
    await rejected?.reject('bad')
    await publisher.publish('$sys.no', 1).catch(() => {})
    while (reader.frames.filter(({ type }) => type === 'message').length < 7) await reader.next('message')
    const metrics = await scrape(hub.port)
    expect(value(metrics, 'fanfare_connections')).toBe(3)
    expect(value(metrics, 'fanfare_connections_opened_total')).toBe(3)
    expect(value(metrics, 'fanfare_subscriptions')).toBe(1)
    expect(value(metrics, 'fanfare_messages_published_total')).toBe(15)
    expect(value(metrics, 'fanfare_messages_dropped_total', { reason: 'drop-oldest' })).toBe(0)
    expect(value(metrics, 'fanfare_outbox_limit_bytes')).toBe(1_000_000)
    expect(value(metrics, 'fanfare_errors_total', { code: 'reserved_topic' })).toBe(1)
    expect(value(metrics, 'fanfare_errors_total', { code: 'storage_full' })).toBe(0)
    const queue = { queue: 'q' }
    // One is on lease; after the two that were settled two more came.
    expect(value(metrics, 'fanfare_queue_depth', queue) + value(metrics, 'fanfare_queue_in_flight', queue)).toBe(3)
    expect(value(metrics, 'fanfare_queue_published_total', queue)).toBe(5)
    expect(value(metrics, 'fanfare_queue_acked_total', queue)).toBe(1)
    expect(value(metrics, 'fanfare_queue_dead_letters', queue)).toBe(1)
    expect(value(metrics, 'fanfare_queue_consumers', queue)).toBe(1)
    expect(value(metrics, 'fanfare_queue_growing', queue)).toBe(0)
    expect(value(metrics, 'fanfare_stream_messages', { stream: 's' })).toBe(3)
    expect(value(metrics, 'fanfare_stream_published_total', { stream: 's' })).toBe(3)
    const operations = samples(metrics, 'fanfare_commit_operations').find(({ name }) => name.endsWith('_sum'))
    // Three to the stream, five to the queue, an ack and a reject.
    expect(operations?.value).toBe(10)
    expect(value(metrics, 'process_resident_memory_bytes')).toBeGreaterThan(10_000_000)
    await held?.ack()
    expect(value(await scrape(hub.port), 'fanfare_queue_acked_total', queue)).toBe(2)
  })

  it('include everything that the dashboard and the alert rules use', async () => {
    const { hub } = await start({ queues: [{ name: 'q' }] })
    const metrics = await scrape(hub.port)
    for (const name of ['grafana-dashboard.json', 'alerts.yaml']) {
      const asked = new Set(file(name).match(METRIC))
      expect(asked.size, name).toBeGreaterThan(5)
      // That of TLS has a value if the hub uses TLS.
      asked.delete('fanfare_tls_certificate_expires_timestamp_seconds')
      const missing = [...asked].filter((metric) => samples(metrics, metric.replace(HISTOGRAM_SUFFIX, '')).length === 0)
      expect(missing, name).toEqual([])
    }
  })

  it('give series to a thousand queues, and report how many were left out', async () => {
    const queues = range(0, 1003).map((n) => ({ name: `q${n}` }))
    const { hub } = await start({ queues })
    const metrics = await scrape(hub.port)
    expect(value(metrics, 'fanfare_queues')).toBe(1003)
    expect(value(metrics, 'fanfare_queues_left_out')).toBe(3)
    expect(value(metrics, 'fanfare_streams_left_out')).toBe(0)
    const labels = new Set(
      [...metrics.values()].flatMap((family) => family.samples.map(({ labels }) => labels['queue'])),
    )
    labels.delete(undefined)
    expect(labels.size).toBe(1000)
  })

  it('keep topics and connections out of labels', async () => {
    const { hub, client } = await start()
    const publisher = client()
    await publisher.publish('t.secret', 1)
    const { connection } = (await publisher.admin.connections.list()).connections[0] ?? {}
    const text = await (await fetch(`http://127.0.0.1:${hub.port}/metrics`)).text()
    expect(text).toContain('fanfare_topics 1')
    expect(text).not.toContain('t.secret')
    expect(text).not.toContain(connection)
  })
})

it('every alert explains what it means and what to do', () => {
  const rules = file('alerts.yaml').split('- alert: ').slice(1)
  expect(rules.length).toBeGreaterThanOrEqual(6)
  for (const rule of rules) {
    expect(rule).toMatch(/ {10}summary: \S/)
    expect(rule).toMatch(/ {10}description: >-\n {12}\S/)
    expect(rule).toMatch(/severity: (warning|critical)/)
  }
})

const METRIC = /\b(?:fanfare|process|nodejs)_[a-z_]+/g
const HISTOGRAM_SUFFIX = /_(bucket|sum|count)$/

async function scrape(port: number): Promise<Map<string, Family>> {
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`)
  expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
  return parseExposition(await answer.text())
}

function samples(metrics: Map<string, Family>, name: string): Family['samples'] {
  return metrics.get(name)?.samples ?? []
}

function value(metrics: Map<string, Family>, name: string, labels: Record<string, string> = {}): number {
  const found = samples(metrics, name).filter((sample) => JSON.stringify(sample.labels) === JSON.stringify(labels))
  if (found.length !== 1) throw new Error(`${name} ${JSON.stringify(labels)} is there ${found.length} times`)
  return (found[0] as Family['samples'][number]).value
}
