import { clearInterval, setInterval } from 'node:timers'
import { setImmediate } from 'node:timers/promises'
import type { Address, EngineApp } from './engine.ts'

/** Interval at which the descriptors are checked. */
const LOOK_EVERY_MS = 100

/** Prevents other sockets from listening on the same port. By default µWebSockets allows this, even for another hub. */
const EXCLUSIVE = 1
const SHARED = 0

/** A listening socket. */
export interface Listening {
  readonly port: number
  close(): void
}

type ListenOptions = typeof EXCLUSIVE | typeof SHARED

/** Listens for one app of µWebSockets. Rejects with `port_in_use`. */
export type Listen = (port: number, options: ListenOptions) => Promise<Listening>

/**
 * The listening socket of a port. It closes while file descriptors are short, and opens again when there are some: without a
 * descriptor for the next connection, µWebSockets asks the system for it again and again, which takes most of a core.
 */
export class Door {
  readonly port: number
  stopped = false
  private readonly app: EngineApp
  private readonly options: ListenOptions
  private readonly timer: NodeJS.Timeout
  private listen: Listen
  private socket: Listening | undefined = undefined
  private opening = false

  private constructor(app: EngineApp, listen: Listen, port: number, options: ListenOptions) {
    this.app = app
    this.options = options
    this.listen = listen
    this.port = port
    // It keeps the process alive, as a listening socket does.
    this.timer = setInterval(() => this.look(), LOOK_EVERY_MS)
  }

  /** `hasHeirs`: whether other apps will replace it. Rejects with `port_in_use`. */
  static async open(
    app: EngineApp,
    listen: Listen,
    { port, reusePort }: Pick<Address, 'port' | 'reusePort'>,
    hasHeirs: boolean,
  ): Promise<Door> {
    const isShared = reusePort === 'on'
    const options = isShared || hasHeirs ? SHARED : EXCLUSIVE
    let socket = isShared && port !== 0 ? undefined : await listen(port, EXCLUSIVE)
    const known = socket?.port ?? port
    // A shared port is shared with every process that asks for it; by now it is known that no other process uses it. A port that the
    // system chose is requested by its number, otherwise it could not be reopened while connections are open.
    if (options === SHARED || port === 0) {
      socket?.close()
      socket = await listen(known, options)
    }
    const door = new Door(app, listen, known, options)
    door.socket = socket
    return door
  }

  /** Another app gets new connections. If it rejects with `port_in_use`, nothing has changed. */
  async replace(listen: Listen): Promise<void> {
    const next = await listen(this.port, this.options)
    const before = this.socket
    this.listen = listen
    this.socket = next
    // Connections that the kernel has ready for the previous app are accepted first, otherwise they would be cut.
    await setImmediate()
    await setImmediate()
    before?.close()
    if (this.stopped) this.close()
  }

  stop(): void {
    this.stopped = true
    clearInterval(this.timer)
    this.close()
  }

  private look(): void {
    if (this.app.crowded()) this.close()
    else if (!this.socket && !this.opening) void this.reopen()
  }

  private close(): void {
    this.socket?.close()
    this.socket = undefined
  }

  /** If it cannot, the next check tries again. */
  private async reopen(): Promise<void> {
    this.opening = true
    try {
      this.socket = await this.listen(this.port, this.options)
      if (this.stopped) this.close()
    } catch (error) {
      this.app.failed(error)
    } finally {
      this.opening = false
    }
  }
}
