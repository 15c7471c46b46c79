import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import type { RedisServer } from './redis-server.ts'

/** The two connections of a node: on one it publishes, on the other it hears. */
export type Direction = 'publishing' | 'hearing'

interface Line {
  readonly near: Socket
  readonly far: Socket
  direction: Direction
}

/** A way to a Redis that can hang in one direction only, and that can be slow. It ends with the test. */
export class RedisWay {
  private readonly port: number
  private readonly delayMs: number
  private isShut = false
  private readonly lines = new Set<Line>()
  private readonly server = createServer((near) => this.join(near))

  private constructor(port: number, delayMs: number) {
    this.port = port
    this.delayMs = delayMs
  }

  /** `delayMs`: how long everything is on its way. */
  static async to(redis: RedisServer, delayMs = 0): Promise<RedisWay> {
    const way = new RedisWay(redis.port, delayMs)
    await once(way.server.listen(0, '127.0.0.1'), 'listening')
    onTestFinished(() => way.close())
    return way
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  /** Nothing comes through on the connections of one direction that are there now, and neither side learns of it. */
  hold(direction: Direction): void {
    for (const line of this.lines) {
      if (line.direction !== direction) continue
      line.near.pause()
      line.far.pause()
    }
  }

  /** What was held comes through now, late. */
  release(): void {
    for (const { near, far } of this.lines) {
      near.resume()
      far.resume()
    }
  }

  /** Cuts every connection, and new ones at once, until `open`. */
  shut(): void {
    this.isShut = true
    for (const { near } of this.lines) near.resetAndDestroy()
  }

  open(): void {
    this.isShut = false
  }

  private join(near: Socket): void {
    if (this.isShut) return void near.resetAndDestroy()
    const line: Line = { near, far: connect(this.port, '127.0.0.1'), direction: 'publishing' }
    this.lines.add(line)
    const { far } = line
    const carry = (from: Socket, to: Socket) => {
      from.on('error', () => {})
      from.on('data', (chunk) => {
        if (from === near && /\$9\r\nsubscribe\r/i.test(chunk.toString('latin1'))) line.direction = 'hearing'
        // Timers of one length keep their order.
        setTimeout(() => to.write(chunk), this.delayMs)
      })
      from.on('close', () => {
        this.lines.delete(line)
        setTimeout(() => to.destroy(), this.delayMs)
      })
    }
    carry(near, far)
    carry(far, near)
  }

  private close(): void {
    for (const { near, far } of this.lines) {
      near.destroy()
      far.destroy()
    }
    this.server.close()
  }
}
