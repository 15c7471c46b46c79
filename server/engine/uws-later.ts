import { setImmediate } from 'node:timers'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { EngineApp, SocketHandlers } from './engine.ts'

/**
 * The same app, to which µWebSockets tells everything once it has returned to the event loop, in the same order.
 *
 * Over TLS that is needed: a write in the middle of what a peer has sent, to whichever socket, makes µSockets forget the
 * bytes that it has not decrypted yet, and cut that peer off (`us_internal_ssl_socket_write` sets
 * `ssl_read_input_length` to 0). It has such bytes left where more than 512 KiB came at once.
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
        // The others are of other connections.
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
