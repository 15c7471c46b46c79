import { html, nothing, type TemplateResult } from 'lit/html.js'
import { type Receipt, rawJson } from '../../../client/index.ts'
import { QUEUE_TOPIC, type QueuesFound } from '../../../shared/queues.ts'
import type { TopicsFound } from '../../../shared/sys.ts'
import { act, canAct } from '../acts.ts'
import { exact } from '../format.ts'
import { client } from '../hub.ts'
import { errorText } from '../notices.ts'
import type { OpenPage } from '../page.ts'
import { empty, facts, heading, mark, moment } from '../parts.ts'
import { invalidate } from '../schedule.ts'

/** Maximum number of results that stay on the page. */
const KEPT = 10

interface Outcome {
  readonly at: number
  readonly to: string
  readonly receipt?: Receipt
  readonly error?: string
}

/** The results of publishes from this page since it was opened. */
let outcomes: readonly Outcome[] = []

/** The content of the form. It survives a visit to another page. */
const draft = { kind: 'topic', topic: '', queue: '', format: 'json', payload: '', key: '', headers: '' }

/** The publish that is waiting for its receipt. */
let waiting: AbortController | undefined

/** Topic and queue names to choose from; empty if the token does not permit to list them. */
let names: readonly string[] = []

async function learnNames(kind: string): Promise<void> {
  const search = { limit: 100 }
  try {
    if (kind === 'queue')
      names = ((await client.call('queues.find', search)) as QueuesFound).queues.map(({ name }) => name)
    else names = ((await client.call('topics.find', search)) as TopicsFound).topics.map(({ topic }) => topic)
  } catch {
    names = []
  }
  invalidate()
}

export const openPublish: OpenPage = ({ query }) => {
  if (query.get('kind') === 'queue') draft.kind = 'queue'
  const to = query.get('to')
  if (to) draft[draft.kind as 'topic' | 'queue'] = to
  void learnNames(draft.kind)
  return { title: 'Publish', view: publish }
}

function publish(): TemplateResult {
  const kind = draft.kind as 'topic' | 'queue'
  const set = (name: keyof typeof draft) => (event: Event) => {
    draft[name] = (event.target as HTMLInputElement).value
    if (name === 'kind') void learnNames(draft.kind)
    invalidate()
  }
  const choice = (name: 'kind' | 'format', value: string, label: string) =>
    html`<label><input type="radio" name=${name} value=${value} .checked=${draft[name] === value} @change=${set(name)} /> ${label}</label>`
  const offline = !canAct()
  return html`${heading('Publish')}
    <div class="columns">
    <form class="panel stack" @submit=${submit}>
      <fieldset class="choice"><legend>Publish to</legend>${choice('kind', 'topic', 'a topic')} ${choice('kind', 'queue', 'a queue directly')}</fieldset>
      <label><span>${kind === 'queue' ? 'Queue' : 'Topic'}</span><input
        name="to" class="name" required list="names" autocomplete="off" spellcheck="false" placeholder=${kind === 'queue' ? 'thumbnails' : 'photos.uploaded'}
        .value=${draft[kind]} @input=${set(kind)} />
        <datalist id="names">${names.map((name) => html`<option value=${name}></option>`)}</datalist></label>
      <fieldset class="choice"><legend>Payload format</legend>${choice('format', 'json', 'JSON')} ${choice('format', 'text', 'text')}</fieldset>
      <label><span>Payload</span><textarea name="payload" class="name" rows="7" spellcheck="false" placeholder='{ "name": "a.jpg" }' .value=${draft.payload} @input=${set('payload')}></textarea></label>
      <label><span>Key (optional)</span><input name="key" class="name" autocomplete="off" spellcheck="false" maxlength="255" .value=${draft.key} @input=${set('key')} /></label>
      <label><span>Headers (optional, one per line)</span><textarea name="headers" class="name" rows="2" spellcheck="false" placeholder="kind: jpeg" .value=${draft.headers} @input=${set('headers')}></textarea></label>
      <p class="buttons">
        ${offline ? html`<span class="quiet">Not connected to the hub. Publishing is not possible right now.</span>` : nothing}
        ${waiting ? html`<button type="button" @click=${() => waiting?.abort(new Error('You stopped waiting for the receipt. The message may or may not have been published.'))}>Stop waiting</button>` : nothing}
        <button class="main" ?disabled=${waiting !== undefined || offline}>${waiting ? 'Waiting for the receipt…' : 'Publish'}</button>
      </p>
    </form>
    <section aria-live="polite"><h2>Receipts</h2>
      ${
        outcomes.length === 0
          ? empty(
              'No messages published yet',
              'The receipt of each message appears here: its id, and the streams and queues that stored it.',
            )
          : html`<ol class="outcomes">${outcomes.map(outcome)}</ol>`
      }
    </section>
    </div>`
}

function outcome({ at, to, receipt, error }: Outcome): TemplateResult {
  if (!receipt) {
    return html`<li class="panel"><p>${mark('bad')}<b>No receipt</b> <span class="name">${to}</span> <span class="quiet">${moment(at)}</span></p><p class="error">${error}</p></li>`
  }
  const { id, duplicate, positions, queues } = receipt
  const streams = Object.entries(positions).map(([name, { offset }]) => `${name} at offset ${exact(offset)}`)
  const kept = streams.length + queues.length > 0
  return html`<li class="panel"><p>${mark('good')}<b>Published</b> <span class="name">${to}</span> <span class="quiet">${moment(at)}</span></p>
    ${facts([
      ['Id', html`<span class="name">${id}</span>`],
      ['Streams', streams.join(', ') || 'none'],
      ['Queues', queues.join(', ') || 'none'],
    ])}
    ${duplicate ? html`<p>Duplicate: a message with this id was published before.</p>` : nothing}
    ${kept ? nothing : html`<p class="quiet">Not stored: no stream or queue captures it. It went to the current subscribers only.</p>`}</li>`
}

async function submit(event: SubmitEvent): Promise<void> {
  event.preventDefault()
  const { kind, format, payload, key, headers } = draft
  const to = draft[kind as 'topic' | 'queue'].trim()
  const abort = new AbortController()
  waiting = abort
  invalidate()
  try {
    const options = {
      signal: abort.signal,
      ...(key !== '' && { key }),
      ...(headers.trim() !== '' && { headers: headersOf(headers) }),
    }
    const data = payloadOf(payload, format)
    const receipt = await act((hub) => hub.publish(kind === 'queue' ? QUEUE_TOPIC + to : to, data, options))
    add({ at: Date.now(), to, receipt })
  } catch (error) {
    add({ at: Date.now(), to, error: errorText(error) })
  }
  waiting = undefined
  invalidate()
}

function payloadOf(text: string, format: string): unknown {
  if (format === 'text') return text
  if (text.trim() === '') return null
  try {
    JSON.parse(text)
  } catch (error) {
    throw new Error(`The payload is not valid JSON: ${(error as Error).message}. Correct it, or choose text.`)
  }
  return rawJson(text)
}

function headersOf(text: string): Record<string, string> {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  return Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(':')
      if (colon <= 0) throw new Error(`A header must have the form "name: value": ${line}`)
      return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()]
    }),
  )
}

function add(outcome: Outcome): void {
  outcomes = [outcome, ...outcomes].slice(0, KEPT)
}
