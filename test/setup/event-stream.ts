import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'

export interface ServerEvent {
  readonly event: string
  readonly id: string | undefined
  readonly data: string
}

/** A client of server-sent events in plain Node, which can stop reading and go away without a word. */
export class EventStream {
  readonly events: ServerEvent[] = []
  /** Everything that was not an event: comments, and ids without data. */
  comments = 0
  lastEventId: string | undefined = undefined
  ended = false
  private readonly response: IncomingMessage
  private text = ''
  private read = 0
  private wake: () => void = () => {}

  private constructor(response: IncomingMessage) {
    this.response = response
    response.setEncoding('utf8')
    response.on('data', (chunk: string) => this.receive(chunk))
    response.on('error', () => {})
    response.on('close', () => {
      this.ended = true
      this.wake()
    })
  }

  /** Rejects with the body if the response is not an event stream. */
  static async open(url: string, lastEventId?: string): Promise<EventStream> {
    const headers = { accept: 'text/event-stream', ...(lastEventId !== undefined && { 'last-event-id': lastEventId }) }
    const asked = request(url, { headers, agent: false }).end()
    const [response] = (await once(asked, 'response')) as [IncomingMessage]
    asked.on('error', () => {})
    if (response.headers['content-type']?.startsWith('text/event-stream')) return new EventStream(response)
    throw new Error(`${response.statusCode} ${(await response.toArray()).join('')}`)
  }

  /** The next event that was not read. Rejects when the response ends first. */
  async next(): Promise<ServerEvent> {
    for (;;) {
      const event = this.events[this.read]
      if (event) {
        this.read++
        return event
      }
      if (this.ended) throw new Error('The event stream has ended')
      await this.change()
    }
  }

  async take(count: number): Promise<ServerEvent[]> {
    const events: ServerEvent[] = []
    while (events.length < count) events.push(await this.next())
    return events
  }

  /** Resolves when something has come, or the response has ended. */
  change(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve
    })
  }

  async end(): Promise<void> {
    while (!this.ended) await this.change()
  }

  stall(): void {
    this.response.pause()
  }

  goOn(): void {
    this.response.resume()
  }

  /** Goes away without a word. */
  cut(): void {
    this.response.socket.resetAndDestroy()
  }

  private receive(chunk: string): void {
    const blocks = (this.text + chunk).split('\n\n')
    this.text = blocks.pop() as string
    for (const block of blocks) this.block(block)
    this.wake()
  }

  private block(block: string): void {
    const lines = block.split('\n')
    const fields = (name: string) =>
      lines.filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2))
    const field = (name: string) => fields(name)[0]
    const id = field('id')
    const data = field('data') && fields('data').join('\n')
    this.lastEventId = id ?? this.lastEventId
    if (data === undefined) this.comments++
    else this.events.push({ event: field('event') ?? 'message', id, data })
  }
}
