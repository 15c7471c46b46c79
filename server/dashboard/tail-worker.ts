import { connect, FanfareError, type Message } from '../../client/index.ts'
import { ownToken } from './own-token.ts'
import { shownPayload } from './payload.ts'
import { missingRight } from './rights.ts'
import type { TailItem, TailMessage, TailReport, TailRequest } from './tail-messages.ts'

/**
 * Reads a pattern outside the page's thread, so that the page stays responsive however many messages arrive. It has its own
 * connection, so that a flood does not delay the figures either.
 */

const REPORT_MS = 250
/** Maximum number of messages in a report; the others are only counted. */
const MOST = 100
/** Maximum length of a payload that is shown, in characters. */
const MAX_TEXT = 16_000

type Unshown = TailItem | { readonly message: Message; readonly number: number; readonly at: number }

let wanted = ''
let number = 0
let received = 0
let matching = 0
let waiting: Unshown[] = []
let skipped = 0

self.onmessage = ({ data: { url, tokenUrl, pattern, text } }: MessageEvent<TailRequest>) => {
  wanted = text.toLowerCase()
  const client = connect(url, {
    name: 'fanfare dashboard, tail',
    backoff: { base: 200, cap: 5000 },
    getToken: () => ownToken(tokenUrl),
  })
  client.onState(({ to, reason }) => report({ kind: 'state', state: to, reason: reason.message }))
  try {
    client.subscribe(pattern, take, {
      policy: 'drop-oldest',
      onGap: ({ reason, count }) => add({ kind: 'gap', number: number++, at: Date.now(), reason, count }),
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
  if (wanted !== '' && !hasText(message)) return
  matching++
  add({ message, number: number++, at: Date.now() })
}

function hasText({ topic, id, key, headers, data, raw }: Message): boolean {
  const pairs = Object.entries(headers ?? {}).map(([name, value]) => `${name}: ${value}`)
  const payload = data instanceof Uint8Array ? shownPayload(data, Number.POSITIVE_INFINITY).text : raw
  return [topic, id, key, ...pairs, payload].some((each) =>
    String(each ?? '')
      .toLowerCase()
      .includes(wanted),
  )
}

function add(item: Unshown): void {
  waiting.push(item)
  // The newest are kept. They are cut in bulk, because that shifts the array only once.
  if (waiting.length >= MOST * 20) cut()
}

function cut(): void {
  const gone = waiting.slice(0, -MOST)
  waiting = waiting.slice(-MOST)
  for (const item of gone) if ('message' in item) skipped++
}

function flush(): void {
  if (waiting.length > MOST) cut()
  const items: TailItem[] = waiting.map((item) => ('message' in item ? shown(item) : item))
  if (skipped > 0) items.unshift({ kind: 'skipped', number: number++, at: Date.now(), count: skipped })
  report({ kind: 'items', items, received, matching })
  waiting = []
  skipped = received = matching = 0
}

function shown({ message, number, at }: Exclude<Unshown, TailItem>): TailMessage {
  const { topic, id, key, headers, data } = message
  const payload = shownPayload(data instanceof Uint8Array ? data : message.raw, MAX_TEXT)
  return { kind: 'message', number, at, topic, id, key, headers, payload }
}

function failed(error: unknown): void {
  const code = error instanceof FanfareError ? ` (${error.code})` : ''
  const words = missingRight(error) ?? `${error instanceof Error ? error.message : String(error)}${code}`
  report({ kind: 'failed', error: words })
}

function report(message: TailReport): void {
  self.postMessage(message)
}
