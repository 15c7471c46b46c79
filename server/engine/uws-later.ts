import { setImmediate } from 'node:timers'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { EngineApp, SocketHandlers } from './engine.ts'

/**
 * The same app, but µWebSockets calls it only after it has returned to the event loop, in the same order.
 *
 * TLS needs this: a write to any socket while a peer's data is being processed makes µSockets forget the bytes that it has not
 * decrypted yet, and disconnect that peer (`us_internal_ssl_socket_write` sets `ssl_read_input_length` to 0). There are such bytes
 * if more than 512 KiB arrived at once.
 */
export function later(app: EngineApp): EngineApp {
  let tasks: (() => void)[] = []
  const run = () => {
    const due = tasks
    tasks = []
    for (const task of due) {
      try {
        task()
      } catch (error) {
        // The other events belong to other connections.
        app.failed(error)
      }
    }
  }
  const defer = (task: () => void) => {
    if (tasks.push(task) === 1) setImmediate(run)
  }
  return {
    async fetch(request, peer) {
      await nextTurn()
      return app.fetch(request, peer)
    },
    accept: (request) => app.accept(request),
    failed: (error) => app.failed(error),
    arrived: (connection) => app.arrived(connection),
    left: (connection) => app.left(connection),
    pipelined: (connection) => app.pipelined(connection),
    crowded: () => app.crowded(),
    open(socket, request) {
      let handlers: SocketHandlers | undefined
      defer(() => {
        handlers = app.open(socket, request)
      })
      return {
        message(data, binary) {
          const copy = data.slice()
          defer(() => handlers?.message(copy, binary))
        },
        broken: (code, message) => defer(() => handlers?.broken(code, message)),
        alive: () => defer(() => handlers?.alive()),
        drain: () => defer(() => handlers?.drain()),
        close: () => defer(() => handlers?.close()),
      }
    },
  }
}
