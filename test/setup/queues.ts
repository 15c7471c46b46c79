import { setTimeout as wait } from 'node:timers/promises'
import type { Client, ConsumeOptions, Delivery, QueueInfo } from '../../client/node.ts'

/** Reads a consumer piece by piece; each delivery is the test's to settle. */
export class QueueReader<Data = unknown> {
  private readonly iterator: AsyncIterator<Delivery<Data>>

  constructor(client: Client, queue: string, options: ConsumeOptions = {}) {
    this.iterator = client.consume<Data>(queue, options)[Symbol.asyncIterator]()
  }

  async next(): Promise<Delivery<Data>> {
    const { value, done } = await this.iterator.next()
    if (done) throw new Error('The consumer has ended')
    return value
  }

  async take(count: number): Promise<Delivery<Data>[]> {
    const deliveries: Delivery<Data>[] = []
    while (deliveries.length < count) deliveries.push(await this.next())
    return deliveries
  }

  /** Takes and acks some; gives their data. */
  async done(count: number): Promise<Data[]> {
    const deliveries = await this.take(count)
    await Promise.all(deliveries.map((delivery) => delivery.ack()))
    return deliveries.map(({ data }) => data)
  }

  /** Ends the consumer; what is not settled goes back. */
  async close(): Promise<void> {
    await this.iterator.return?.()
  }
}

/** Asks until a queue is as wanted: what the hub does in its own time sends no event. */
export async function untilQueue(
  client: Client,
  name: string,
  wanted: (info: QueueInfo) => boolean,
): Promise<QueueInfo> {
  for (;;) {
    const info = await client.admin.queues.show(name)
    if (wanted(info)) return info
    // Asking without a pause would take the time of what it waits for.
    await wait(2)
  }
}
