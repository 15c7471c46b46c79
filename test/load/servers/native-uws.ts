import uws from 'uWebSockets.js'

/** Reference: the native `publish` of uWebSockets.js. */
const names = uws as unknown as Record<string, ((socket: unknown) => number) | undefined>
const limits = { maxBackpressure: 64 * 1024 * 1024, idleTimeout: 0, maxPayloadLength: 1024 * 1024 }
const app = uws
  .App()
  .ws('/publish', {
    ...limits,
    message(socket, message, binary) {
      app.publish('bench', message, binary, false)
      socket.send('!', false, false)
    },
  })
  .ws('/*', { ...limits, open: (socket) => void socket.subscribe('bench') })
app.listen('127.0.0.1', 0, (socket) => {
  const port = (names['us_socket_local_port'] ?? names['getSocketPort'])?.(socket)
  process.stdout.write(`listening ${port}\n`)
})
