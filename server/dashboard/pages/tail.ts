import { html, nothing, type TemplateResult } from 'lit/html.js'
import { clock, count, counted, rate } from '../format.ts'
import { hubUrl, tokenUrl } from '../hub.ts'
import type { OpenPage } from '../page.ts'
import { empty, facts, heading } from '../parts.ts'
import { type Route, setQuery } from '../route.ts'
import { dataChanged, invalidate } from '../schedule.ts'
import type { TailItem, TailMessage, TailReport, TailRequest } from '../tail-messages.ts'

/** Items that are kept, and so many of them shown. */
const KEPT = 500
const SHOWN = 100
/** Reports over which the rate is an average. */
const RATE_OVER = 8
const REPORTS_PER_SECOND = 4

/** A tail that is open. */
interface Tail {
  readonly route: Route
  worker: Worker | undefined
  pattern: string
  state: string
  error: string | undefined
  paused: boolean
  /** The newest last. */
  items: readonly TailItem[]
  /** What came while it was paused. */
  missed: number
  received: readonly number[]
  total: number
  open: TailItem | undefined
}

export const openTail: OpenPage = (route) => {
  const tail: Tail = {
    route,
    worker: undefined,
    pattern: '',
    state: '',
    ...nothingSeen(),
  }
  const pattern = route.query.get('pattern')
  if (pattern) start(tail, pattern)
  return { title: 'Live tail', view: () => view(tail), close: () => stop(tail) }
}

function nothingSeen() {
  return { error: undefined, paused: false, items: [], missed: 0, received: [], total: 0, open: undefined }
}

function start(tail: Tail, pattern: string): void {
  stop(tail)
  Object.assign(tail, { pattern, state: 'connecting', ...nothingSeen() })
  // Built as an entry of its own, beside this page.
  const worker = new Worker(new URL('assets/tail-worker.js', document.baseURI), { type: 'module' })
  worker.onmessage = ({ data }: MessageEvent<TailReport>) => take(tail, data)
  worker.onerror = () => take(tail, { kind: 'failed', error: 'The worker that reads the tail did not start.' })
  worker.postMessage({ url: hubUrl, tokenUrl, pattern } satisfies TailRequest)
  tail.worker = worker
  invalidate()
}

function stop(tail: Tail): void {
  tail.worker?.terminate()
  tail.worker = undefined
  tail.received = []
  invalidate()
}

function take(tail: Tail, report: TailReport): void {
  if (report.kind === 'state') tail.state = report.state === 'waiting' ? `reconnecting: ${report.reason}` : report.state
  else if (report.kind === 'failed') {
    stop(tail)
    tail.error = report.error
  } else {
    tail.received = [...tail.received.slice(1 - RATE_OVER), report.received]
    tail.total += report.received
    if (tail.paused) tail.missed += report.received
    else if (report.items.length > 0) tail.items = [...tail.items, ...report.items].slice(-KEPT)
  }
  dataChanged()
}

function view(tail: Tail): TemplateResult {
  const running = tail.worker !== undefined
  return html`${heading('Live tail')}
    <form class="row" @submit=${(event: SubmitEvent) => submit(event, tail)}>
      <label class="wide-field"><span>Topic or pattern</span><input
        name="pattern" class="name" required autocomplete="off" spellcheck="false" placeholder="photos.#" .value=${tail.route.query.get('pattern') ?? ''} /></label>
      <button class="main">${running ? 'Tail this' : 'Start'}</button>
      ${running ? html`<button type="button" @click=${() => pause(tail, !tail.paused)}>${tail.paused ? 'Go on' : 'Pause'}</button>` : nothing}
      ${running ? html`<button type="button" @click=${() => stop(tail)}>Stop</button>` : nothing}
      ${tail.items.length > 0 ? html`<button type="button" class="plain" @click=${() => clear(tail)}>Clear</button>` : nothing}
    </form>
    ${tail.error === undefined ? nothing : html`<p class="panel verdict" role="alert"><span class="dot bad" aria-hidden="true"></span>${tail.error}</p>`}
    ${running ? status(tail) : nothing} ${list(tail, running)}`
}

function status({ received, total, state, paused, missed, pattern }: Tail): TemplateResult {
  const sum = received.reduce((sum, each) => sum + each, 0)
  const perSecond = received.length > 0 ? (sum / received.length) * REPORTS_PER_SECOND : 0
  return html`<p class="tail-status" role="status">
    
    <span><span class="dot ${state === 'connected' ? (paused ? 'warn' : 'good') : 'bad'}" aria-hidden="true"></span>${state === 'connected' ? (paused ? `Paused; ${count(missed)} came meanwhile and are not shown` : html`Tailing <span class="name">${pattern}</span>`) : state}</span>
    <span class="quiet"><b>${rate(perSecond)}</b> a second</span><span class="quiet">${count(total)} in all</span>
  </p>`
}

function list(tail: Tail, running: boolean): TemplateResult {
  if (tail.items.length === 0) {
    return running
      ? empty('Nothing has come yet', 'Messages show up here as they are published, the newest on top.')
      : empty(
          'See messages as they pass',
          html`A pattern is a topic in which a word may be <code>*</code> (one word) or <code>#</code> (any number of them). <code>#</code> alone is everything but the hub's own <code>$sys.#</code>.`,
        )
  }
  const items = tail.items.slice(-SHOWN).reverse()
  const rest = tail.items.length - items.length
  return html`<ol class="tail panel">${items.map((item) => (item.kind === 'message' ? message(tail, item) : missing(item)))}</ol>
    ${rest > 0 ? html`<p class="more">${counted(rest, 'older one')} not shown.</p>` : nothing}`
}

function message(tail: Tail, item: TailMessage): TemplateResult {
  const isOpen = tail.open === item
  const toggle = () => {
    tail.open = isOpen ? undefined : item
    // What is read must not run away.
    if (!isOpen && tail.worker) pause(tail, true)
    invalidate()
  }
  return html`<li class=${isOpen ? 'open' : ''}>
    <button class="plain summary" aria-expanded=${isOpen} @click=${toggle}>
      <time>${clock(item.at)}</time><span class="name topic">${item.topic}</span><code>${item.text.slice(0, 300)}</code>
    </button>
    ${isOpen ? inside(item) : nothing}
  </li>`
}

function inside({ id, key, headers, text, isJson, cutFrom }: TailMessage): TemplateResult {
  const pairs = Object.entries(headers ?? {}).map(([name, value]) => `${name}: ${value}`)
  return html`<div class="inside">
    ${facts([
      ['Id', html`<span class="name">${id}</span>`],
      ...(key === undefined ? [] : ([['Key', html`<span class="name">${key}</span>`]] as const)),
      ...(pairs.length === 0 ? [] : ([['Headers', pairs.join(', ')]] as const)),
    ])}
    ${cutFrom === undefined ? nothing : html`<p class="quiet">The beginning of ${counted(cutFrom, isJson ? 'character' : 'byte')}.</p>`}
    <pre tabindex="0">${isJson && cutFrom === undefined && text !== '' ? JSON.stringify(JSON.parse(text), null, 2) : text || 'no payload'}</pre>
  </div>`
}

function missing(item: Exclude<TailItem, TailMessage>): TemplateResult {
  const words =
    item.kind === 'skipped'
      ? `${counted(item.count, 'message')} came here and are not shown: too many at once to read`
      : `gap: ${item.count === undefined ? 'messages' : counted(item.count, 'message')} left out, ${REASONS[item.reason] ?? item.reason}`
  return html`<li class="missing ${item.kind}"><time>${clock(item.at)}</time><span>${words}</span></li>`
}

const REASONS: Readonly<Record<string, string>> = {
  'drop-oldest': 'they came faster than this page reads (drop-oldest)',
  'client-buffer': 'they came faster than this page reads (client-buffer)',
  disconnected: 'the connection was cut (disconnected)',
}

function submit(event: SubmitEvent, tail: Tail): void {
  event.preventDefault()
  const pattern = String(new FormData(event.target as HTMLFormElement).get('pattern') ?? '').trim()
  setQuery(tail.route, 'pattern', pattern)
  start(tail, pattern)
}

function pause(tail: Tail, paused: boolean): void {
  if (tail.paused === paused) return
  tail.paused = paused
  // They are told in line, as all that is missing.
  if (!paused && tail.missed > 0) {
    const skipped: TailItem = { kind: 'skipped', at: Date.now(), count: tail.missed }
    tail.items = [...tail.items, skipped].slice(-KEPT)
  }
  if (!paused) tail.open = undefined
  tail.missed = 0
  invalidate()
}

function clear(tail: Tail): void {
  tail.items = []
  tail.open = undefined
  tail.total = 0
  invalidate()
}
