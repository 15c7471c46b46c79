import { setImmediate } from 'node:timers'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { encodeFrame } from '../../shared/codec.ts'
import { FanfareError } from '../../shared/errors.ts'
import type { PublishFrame, ReceiptFrame } from '../../shared/frames.ts'
import { parseFrame } from '../../shared/parse-frame.ts'
import type { Batch } from '../engine/batch.ts'
import type { EngineSocket, SocketHandlers } from '../engine/engine.ts'
import type { Exchange } from './operation.ts'
import { type Refusal, refusalOf } from './problem.ts'
import { framesOf } from './wire-frames.ts'

export type Receipt = Omit<ReceiptFrame, 'type' | 'seq'>
/** What became of a publish. */
export type Result = { readonly receipt: Receipt } | { readonly refusal: Refusal }

const utf8 = new TextEncoder()

/**
 * Publishes what a request brought, as a connection of its own that ends with it: rules, limits and receipts are those
 * of a WebSocket. Resolves when all is safe or refused, in the order given; `items` are publish frames without type and
 * seq.
 */
export async function publish({ hub, request, peer, access }: Exchange, items: readonly unknown[]): Promise<Result[]> {
  const results: Result[] = []
  const socket = new PublishSocket()
  socket.handlers = hub.open(socket, peer?.remoteAddress ?? '', access)
  // Whoever went away waits for nothing any longer, for room in a queue least of all.
  const end = () => socket.end()
  request.signal.addEventListener('abort', end)
  try {
    for (let at = 0; at < items.length; at += hub.window) {
      const window = items.slice(at, at + hub.window).map((item, n) => socket.publish(item, at + n))
      results.push(...(await Promise.all(window)))
      // What is refused at once takes no turn of its own: very many of them would hold up everything else.
      if (at + hub.window < items.length) await nextTurn()
    }
  } finally {
    request.signal.removeEventListener('abort', end)
    end()
  }
  return results
}

/** Gives publishes to a connection, and hears what became of each. */
class PublishSocket implements EngineSocket {
  readonly bufferedBytes = 0
  handlers: SocketHandlers | undefined = undefined
  private readonly open = new Map<number, (result: Result) => void>()

  publish(item: unknown, seq: number): Promise<Result> {
    return new Promise((resolve) => {
      try {
        // Checked here as well: a broken frame would cost the connection, and with it the receipts of the others.
        const bytes = encode({ ...Object(item), type: 'publish', seq })
        if (!this.handlers) throw new FanfareError('connection_lost')
        this.open.set(seq, resolve)
        this.handlers.message(...bytes)
      } catch (error) {
        resolve({ refusal: refusalOf(error) })
      }
    })
  }

  write(batch: Batch): boolean {
    for (const frame of framesOf(batch).flat()) {
      if (frame.type === 'receipt') {
        const { type: _, seq, ...receipt } = frame
        this.settle(seq, { receipt })
      } else if (frame.type === 'error' && frame.seq !== undefined) {
        this.settle(frame.seq, { refusal: frame })
      }
    }
    return true
  }

  // The request is the sign of life: who goes away aborts it.
  ping(): void {
    queueMicrotask(() => this.handlers?.alive())
  }

  // A request is read whole before anything of it is published.
  setReading(): void {}

  close(): void {
    setImmediate(() => this.end())
  }

  terminate(): void {
    this.close()
  }

  /** Ends the connection. What was not answered may have happened or not. */
  end(): void {
    const { handlers } = this
    this.handlers = undefined
    handlers?.close()
    for (const seq of [...this.open.keys()]) this.settle(seq, { refusal: new FanfareError('connection_lost') })
  }

  private settle(seq: number, result: Result): void {
    this.open.get(seq)?.(result)
    this.open.delete(seq)
  }
}

/** Throws `bad_frame`, `nested_too_deeply`. */
function encode(frame: object): [Uint8Array, boolean] {
  const checked = parseFrame(frame) as PublishFrame
  try {
    const encoded = encodeFrame(checked)
    return typeof encoded === 'string' ? [utf8.encode(encoded), false] : [encoded, true]
  } catch (error) {
    // An unknown field has not been checked: JSON.stringify overflows the stack at some thousand levels.
    if (error instanceof RangeError) throw new FanfareError('nested_too_deeply')
    throw error
  }
}
