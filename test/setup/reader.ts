import type { Message, Subscription } from '../../client/node.ts'

/** Reads a subscription piece by piece, without ending it. */
export class Reader<Data> {
  private readonly iterator: AsyncIterator<Message<Data>>

  constructor(subscription: Subscription<Data>) {
    this.iterator = subscription[Symbol.asyncIterator]()
  }

  async next(): Promise<Message<Data>> {
    const { value, done } = await this.iterator.next()
    if (done) throw new Error('The subscription has ended')
    return value
  }

  async take(count: number): Promise<Message<Data>[]> {
    const messages: Message<Data>[] = []
    while (messages.length < count) messages.push(await this.next())
    return messages
  }

  async data(count: number): Promise<Data[]> {
    return (await this.take(count)).map(({ data }) => data)
  }
}
