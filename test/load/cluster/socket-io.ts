import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onServerCore } from '../process-stats.ts'
import { clientFrame } from '../raw-websocket.ts'
import { run, type Target } from '../targets.ts'

const SERVER = fileURLToPath(new URL(`./socket-io-server${extname(import.meta.url)}`, import.meta.url))
const PATH = '/socket.io/?EIO=4&transport=websocket'
/** Engine.IO and Socket.IO: a message, and in it the request to connect. */
const CONNECT = '40'

/** A Socket.IO server whose messages go to the others over Redis. */
export function socketIo(redisUrl: string): Target {
  return {
    name: 'Socket.IO',
    protocol: undefined,
    subscriberPath: `${PATH}&room=bench`,
    publisherPath: PATH,
    subscribe: { say: CONNECT, hear: '40{' },
    greet: { say: CONNECT, hear: '40{' },
    publish(payloads, firstSeq) {
      return Buffer.concat(payloads.map((data, n) => clientFrame(`42${firstSeq + n}["publish","${data}"]`)))
    },
    ack: { text: '[]', messages: 1 },
    start: () => run(onServerCore([process.execPath, ...process.execArgv, SERVER, redisUrl]), /listening (\d+)/),
  }
}
