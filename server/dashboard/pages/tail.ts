import { repeat } from 'lit/directives/repeat.js'
import { html, nothing, type TemplateResult } from 'lit/html.js'
import { clock, count, counted, fullTime, rate } from '../format.ts'
import { connection, hubUrl, tokenUrl } from '../hub.ts'
import type { OpenPage } from '../page.ts'
import { empty, facts, heading, mark } from '../parts.ts'
import { payloadView } from '../payload-view.ts'
import { type PageRoute, setQuery } from '../route.ts'
import { dataChanged, invalidate } from '../schedule.ts'
import { isHeld } from '../still.ts'
import type { TailItem, TailMessage, TailReport, TailRequest } from '../tail-messages.ts'

/** Maximum number of items kept, and shown. */
const KEPT = 500
const SHOWN = 100
/** Number of reports over which the rate is averaged. */
const RATE_OVER = 8
const REPORTS_PER_SECOND = 4
const RESTART_MS = 1000

/** The state of the page. */
interface Tail {
  readonly route: PageRoute
  worker: Worker | undefined
  pattern: string
  text: string
  state: string
  error: string | undefined
  paused: boolean
  /** Oldest first. */
  items: readonly TailItem[]
  /** The newest items when the list was last updated: they stay while someone reads. */
  shown: readonly TailItem[]
  received: readonly number[]
  total: number
  matching: number
  /** The number of the message whose details are open. */
  open: number | undefined
}

export const openTail: OpenPage = (route) => {
  const tail: Tail = { route, worker: undefined, pattern: '', text: '', state: '', ...nothingSeen() }
  if (route.query.get('pattern')) start(tail)
  return { title: 'Live tail', view: () => view(tail), close: () => stop(tail) }
}

function nothingSeen() {
  return {
    error: undefined,
    paused: false,
    items: [],
    shown: [],
    received: [],
    total: 0,
    matching: 0,
    open: undefined,
  }
}

/** Starts the tail that the address describes. */
function start(tail: Tail): void {
  stop(tail)
  const [pattern, text] = ['pattern', 'text'].map((name) => tail.route.query.get(name) ?? '') as [string, string]
  Object.assign(tail, { pattern, text, state: 'connecting', ...nothingSeen() })
  // The worker is a separate entry of the build.
  const worker = new Worker(new URL('assets/tail-worker.js', document.baseURI), { type: 'module' })
  worker.onmessage = ({ data }: MessageEvent<TailReport>) => take(tail, data)
  worker.onerror = () => notStarted(tail, worker)
  worker.postMessage({ url: hubUrl, tokenUrl, pattern, text } satisfies TailRequest)
  tail.worker = worker
  invalidate()
}

function notStarted(tail: Tail, worker: Worker): void {
  if (connection.state === 'connected') {
    take(tail, { kind: 'failed', error: 'The tail worker did not start.' })
    return
  }
  // The hub that serves the worker's script is unreachable.
  setTimeout(() => {
    if (tail.worker === worker) start(tail)
  }, RESTART_MS)
}

function stop(tail: Tail): void {
  tail.worker?.terminate()
  tail.worker = undefined
  tail.received = []
  invalidate()
}

function take(tail: Tail, report: TailReport): void {
  if (report.kind === 'state') tail.state = report.state
  else if (report.kind === 'failed') {
    stop(tail)
    tail.error = report.error
  } else {
    tail.received = [...tail.received.slice(1 - RATE_OVER), report.received]
    tail.total += report.received
    tail.matching += report.matching
    if (report.items.length > 0) tail.items = [...tail.items, ...report.items].slice(-KEPT)
  }
  dataChanged()
}

function view(tail: Tail): TemplateResult {
  const running = tail.worker !== undefined
  const field = (name: string) => tail.route.query.get(name) ?? ''
  // What is being read or pointed at stays in place; new messages wait.
  if (!tail.paused && !isHeld('.tail')) tail.shown = tail.items.slice(-SHOWN)
  return html`${heading('Live tail')}
    <form class="row" @submit=${(event: SubmitEvent) => submit(event, tail)}>
      <label class="wide-field"><span>Topic or pattern</span><input
        name="pattern" class="name" required autocomplete="off" spellcheck="false" placeholder="photos.#" .value=${field('pattern')} /></label>
      <label class="wide-field"><span>Contains <span class="quiet">(topic, id, key, header or payload)</span></span><input
        type="search" name="text" class="name" autocomplete="off" spellcheck="false" placeholder="any" .value=${field('text')} /></label>
      <button class="main">${running ? 'Restart' : 'Start'}</button>
      ${running ? html`<button type="button" @click=${() => pause(tail, !tail.paused)}>${tail.paused ? 'Resume' : 'Pause'}</button>` : nothing}
      ${running ? html`<button type="button" @click=${() => stop(tail)}>Stop</button>` : nothing}
      ${tail.items.length > 0 ? html`<button type="button" class="plain" @click=${() => clear(tail)}>Clear</button>` : nothing}
    </form>
    ${tail.error === undefined ? nothing : html`<p class="panel verdict" role="alert">${mark('bad')}<span><b class="level bad">Problem:</b> ${tail.error}</span></p>`}
    ${running ? status(tail) : nothing} ${list(tail, running)}`
}

function status(tail: Tail): TemplateResult {
  const { received, total, matching, text } = tail
  const sum = received.reduce((sum, each) => sum + each, 0)
  const perSecond = received.length > 0 ? (sum / received.length) * REPORTS_PER_SECOND : 0
  return html`<p class="tail-status">
    <span role="status">${stateWords(tail)}</span>
    <span class="quiet"><b>${rate(perSecond)}</b> per second</span><span class="quiet">${count(total)} received${text === '' ? '' : `, ${count(matching)} matching`}</span>
  </p>`
}

function stateWords(tail: Tail): TemplateResult {
  const { state, paused, pattern, shown, items } = tail
  if (state === 'closed') return html`${mark('bad')}The hub closed the connection of the tail`
  if (state === 'connecting' && connection.state === 'connected') return html`${mark('warn')}Connecting`
  if (state !== 'connected') return html`${mark('bad')}No connection to the hub. Reconnecting…`
  const newest = shown.at(-1)?.number ?? -1
  const waiting = items.filter(({ number }) => number > newest).length
  if (paused || waiting > SHOWN / 2) {
    const why = paused ? 'Paused' : 'Held while you point at the list'
    return html`${mark('warn')}${why}; ${waiting === KEPT ? `more than ${KEPT}` : count(waiting)} newer`
  }
  return html`${mark('good')}Tailing <span class="name">${pattern}</span>`
}

function list(tail: Tail, running: boolean): TemplateResult {
  if (tail.shown.length === 0) {
    if (running && tail.state !== 'connected')
      return empty('Waiting for the hub', 'The tail continues once the hub is back.')
    return running
      ? empty('No messages yet', 'Messages appear here as they are published, newest first.')
      : empty(
          'Watch messages as they are published',
          html`A pattern is a topic in which a word may be <code>*</code> (one word) or <code>#</code> (any number of words). <code>#</code> on its own matches all topics except the hub's own <code>$sys.#</code>.`,
        )
  }
  const rest = tail.items.length - tail.shown.length
  const newestFirst = [...tail.shown].reverse()
  return html`<ol class="tail panel">${repeat(
    newestFirst,
    ({ number }) => number,
    (item) => (item.kind === 'message' ? message(tail, item) : missing(item)),
  )}</ol>
    ${rest > 0 ? html`<p class="more">${counted(rest, 'more message')} not shown.</p>` : nothing}`
}

function message(tail: Tail, item: TailMessage): TemplateResult {
  const { number, at, topic, payload } = item
  const isOpen = tail.open === number
  const toggle = () => {
    tail.open = isOpen ? undefined : number
    // The message being read must not move away.
    if (!isOpen && tail.worker) pause(tail, true)
    invalidate()
  }
  return html`<li class=${isOpen ? 'open' : ''}>
    <button class="plain summary" aria-expanded=${isOpen} @click=${toggle}>
      <time title=${fullTime(at)}>${clock(at)}</time><span class="name topic" title=${topic}>${topic}</span><code>${payload.text.slice(0, 300)}</code>
    </button>
    ${isOpen ? inside(item) : nothing}
  </li>`
}

function inside({ topic, id, key, headers, at, payload }: TailMessage): TemplateResult {
  const pairs = Object.entries(headers ?? {}).map(([name, value]) => `${name}: ${value}`)
  return html`<div class="inside">
    ${facts([
      ['Topic', html`<span class="name">${topic}</span>`],
      ['Id', html`<span class="name">${id}</span>`],
      ['Received', fullTime(at)],
      ...(key === undefined ? [] : ([['Key', html`<span class="name">${key}</span>`]] as const)),
      ...(pairs.length === 0 ? [] : ([['Headers', html`<span class="name">${pairs.join('\n')}</span>`]] as const)),
    ])}
    ${payloadView(payload)}
  </div>`
}

function missing(item: Exclude<TailItem, TailMessage>): TemplateResult {
  const words =
    item.kind === 'skipped'
      ? `${counted(item.count, 'message')} received but not shown: too many to read`
      : `Gap: ${item.count === undefined ? 'messages' : counted(item.count, 'message')} dropped; ${REASONS[item.reason] ?? item.reason}`
  return html`<li class="missing ${item.kind}"><time title=${fullTime(item.at)}>${clock(item.at)}</time><span>${words}</span></li>`
}

const REASONS: Readonly<Record<string, string>> = {
  'drop-oldest': 'they arrived faster than this page reads (drop-oldest)',
  'client-buffer': 'they arrived faster than this page reads (client-buffer)',
  disconnected: 'the connection was lost (disconnected)',
}

function submit(event: SubmitEvent, tail: Tail): void {
  event.preventDefault()
  const fields = new FormData(event.target as HTMLFormElement)
  for (const name of ['pattern', 'text']) setQuery(tail.route, name, String(fields.get(name) ?? '').trim())
  start(tail)
}

function pause(tail: Tail, paused: boolean): void {
  if (tail.paused === paused) return
  tail.paused = paused
  if (!paused) tail.open = undefined
  invalidate()
}

function clear(tail: Tail): void {
  Object.assign(tail, { items: [], shown: [], open: undefined, total: 0, matching: 0 })
  invalidate()
}
