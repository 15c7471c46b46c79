import { connect, FanfareError, type Message } from '../../client/index.ts'
import { ownToken } from './own-token.ts'
import { missingRight } from './rights.ts'
import type { TailItem, TailMessage, TailReport, TailRequest } from './tail-messages.ts'

/**
 * Reads a pattern away from the page: whatever comes at once, the page stays smooth. It has a connection of its own, so
 * that a flood delays no figures either.
 */

const REPORT_MS = 250
/** Most messages of a report: what else came is counted. */
const MOST = 100
/** Most of a payload that is shown, in characters. */
const MOST_TEXT = 16_000

let received = 0
let waiting: (TailItem | { readonly message: Message; readonly at: number })[] = []
let skipped = 0

self.onmessage = ({ data: { url, tokenUrl, pattern } }: MessageEvent<TailRequest>) => {
  const client = connect(url, {
    name: 'fanfare dashboard, tail',
    backoff: { baseMs: 200, capMs: 5000 },
    getToken: () => ownToken(tokenUrl),
  })
  client.onState(({ to, reason }) => report({ kind: 'state', state: to, reason: reason.message }))
  try {
    client.subscribe(pattern, take, {
      policy: 'drop-oldest',
      onGap: ({ reason, count }) => add({ kind: 'gap', at: Date.now(), reason, count }),
      onError: failed,
    })
  } catch (error) {
    failed(error)
    return
  }
  setInterval(flush, REPORT_MS)
}

function take(message: Message): void {
  received++
  add({ message, at: Date.now() })
}

function add(item: (typeof waiting)[number]): void {
  waiting.push(item)
  // The newest are kept. Cutting in bulk: an array of so many costs nothing to shift in one go.
  if (waiting.length >= MOST * 20) cut()
}

function cut(): void {
  const gone = waiting.slice(0, -MOST)
  waiting = waiting.slice(-MOST)
  for (const item of gone) if ('message' in item) skipped++
}

function flush(): void {
  if (waiting.length > MOST) cut()
  if (waiting.length === 0 && received === 0) return report({ kind: 'items', items: [], received: 0 })
  const items: TailItem[] = waiting.map((item) => ('message' in item ? shown(item.message, item.at) : item))
  if (skipped > 0) items.unshift({ kind: 'skipped', at: Date.now(), count: skipped })
  report({ kind: 'items', items, received })
  waiting = []
  skipped = 0
  received = 0
}

function shown({ topic, id, key, headers, data }: Message, at: number): TailMessage {
  const isJson = !(data instanceof Uint8Array)
  const text = isJson ? (JSON.stringify(data) ?? '') : hex(data)
  const size = isJson ? text.length : data.length
  const cutFrom = text.length > MOST_TEXT || (!isJson && size > MOST_BYTES) ? size : undefined
  return { kind: 'message', at, topic, id, key, headers, text: text.slice(0, MOST_TEXT), isJson, cutFrom }
}

const MOST_BYTES = 1000

function hex(bytes: Uint8Array): string {
  return [...bytes.subarray(0, MOST_BYTES)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
}

function failed(error: unknown): void {
  const code = error instanceof FanfareError ? ` (${error.code})` : ''
  const words = missingRight(error) ?? `${error instanceof Error ? error.message : String(error)}${code}`
  report({ kind: 'failed', error: words })
}

function report(message: TailReport): void {
  self.postMessage(message)
}
