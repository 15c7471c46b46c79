import { html, nothing, type TemplateResult } from 'lit/html.js'
import type { Receipt } from '../../../client/index.ts'
import { QUEUE_TOPIC } from '../../../shared/queues.ts'
import { act, canAct } from '../acts.ts'
import { clock } from '../format.ts'
import { model } from '../hub.ts'
import { errorText } from '../notices.ts'
import type { OpenPage } from '../page.ts'
import { empty, facts, heading } from '../parts.ts'
import { type Route, setQuery } from '../route.ts'
import { invalidate } from '../schedule.ts'

/** Outcomes that stay on the page. */
const KEPT = 10

interface Outcome {
  readonly at: number
  readonly to: string
  readonly receipt?: Receipt
  readonly error?: string
}

/** What was published by hand since the page was opened. */
let outcomes: readonly Outcome[] = []

export const openPublish: OpenPage = (route) => {
  const state = { busy: false }
  return { title: 'Publish', view: () => publish(route, state) }
}

function publish(route: Route, state: { busy: boolean }): TemplateResult {
  const toQueue = isToQueue(route)
  const names = toQueue ? [...model.queues.keys()] : (model.topics?.busiest ?? []).map(({ topic }) => topic)
  const choose = (kind: '' | 'queue') => () => setQuery(route, 'kind', kind)
  return html`${heading('Publish')}
    <form class="panel stack" @submit=${(event: SubmitEvent) => submit(event, route, state)}>
      <fieldset class="choice"><legend class="hidden">Where to</legend>
        <label><input type="radio" name="kind" value="topic" .checked=${!toQueue} @change=${choose('')} /> To a topic</label>
        <label><input type="radio" name="kind" value="queue" .checked=${toQueue} @change=${choose('queue')} /> Straight to a queue</label>
      </fieldset>
      <label><span>${toQueue ? 'Queue' : 'Topic'}</span><input
        name="to" class="name" required list="names" autocomplete="off" spellcheck="false" placeholder=${toQueue ? 'thumbnails' : 'photos.uploaded'}
        .value=${route.query.get('to') ?? ''}
        @input=${(event: Event) => setQuery(route, 'to', (event.target as HTMLInputElement).value)} />
        <datalist id="names">${names.slice(0, 100).map((name) => html`<option value=${name}></option>`)}</datalist></label>
      <div class="row tight">
        <fieldset class="choice"><legend class="hidden">Payload is</legend>
          <label><input type="radio" name="format" value="json" checked /> JSON</label>
          <label><input type="radio" name="format" value="text" /> Text</label>
        </fieldset>
      </div>
      <label><span>Payload</span><textarea name="payload" class="name" rows="7" spellcheck="false" placeholder='{ "name": "a.jpg" }'></textarea></label>
      <div class="row tight">
        <label><span>Key <span class="quiet">optional</span></span><input name="key" class="name" autocomplete="off" spellcheck="false" maxlength="255" /></label>
        <label class="wide-field"><span>Headers <span class="quiet">optional, one a line</span></span><textarea name="headers" class="name" rows="2" spellcheck="false" placeholder="kind: jpeg"></textarea></label>
      </div>
      <p class="buttons"><button class="main" ?disabled=${state.busy || !canAct()}>${state.busy ? 'Waiting for the receipt…' : 'Publish'}</button></p>
    </form>
    <section aria-live="polite"><h2>Receipts</h2>
      ${
        outcomes.length === 0
          ? empty(
              'Nothing was published from here yet',
              'The receipt of each message stands here: its id, and which streams and queues keep it.',
            )
          : html`<ol class="outcomes">${outcomes.map(outcome)}</ol>`
      }
    </section>`
}

function outcome({ at, to, receipt, error }: Outcome): TemplateResult {
  if (!receipt) {
    return html`<li class="panel"><p><span class="dot bad" aria-hidden="true"></span><b>Refused</b> <span class="name">${to}</span> <span class="quiet">${clock(at)}</span></p><p class="error">${error}</p></li>`
  }
  const { id, duplicate, positions, queues } = receipt
  const streams = Object.entries(positions).map(([name, { offset }]) => `${name} at offset ${offset}`)
  const kept = streams.length + queues.length > 0
  return html`<li class="panel"><p><span class="dot good" aria-hidden="true"></span><b>Published</b> <span class="name">${to}</span> <span class="quiet">${clock(at)}</span></p>
    ${facts([
      ['Id', html`<span class="name">${id}</span>`],
      ['Streams', streams.join(', ') || 'none'],
      ['Queues', queues.join(', ') || 'none'],
    ])}
    ${duplicate ? html`<p>A duplicate: a message of this id was kept before.</p>` : nothing}
    ${kept ? nothing : html`<p class="quiet">Nothing keeps it; it has reached whoever was subscribed.</p>`}</li>`
}

async function submit(event: SubmitEvent, route: Route, state: { busy: boolean }): Promise<void> {
  event.preventDefault()
  const fields = new FormData(event.target as HTMLFormElement)
  const of = (name: string) => String(fields.get(name) ?? '')
  const to = of('to').trim()
  const topic = isToQueue(route) ? QUEUE_TOPIC + to : to
  state.busy = true
  invalidate()
  try {
    const headers = headersOf(of('headers'))
    const key = of('key')
    const options = { ...(key !== '' && { key }), ...(headers && { headers }) }
    const payload = payloadOf(of('payload'), of('format'))
    const receipt = await act((hub) => hub.publish(topic, payload, options))
    add({ at: Date.now(), to, receipt })
  } catch (error) {
    add({ at: Date.now(), to, error: errorText(error) })
  }
  state.busy = false
  invalidate()
}

function isToQueue(route: Route): boolean {
  return route.query.get('kind') === 'queue'
}

function payloadOf(text: string, format: string): unknown {
  if (format === 'text') return text
  if (text.trim() === '') return null
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Error(`The payload is not JSON: ${(error as Error).message}. Correct it, or choose Text.`)
  }
}

function headersOf(text: string): Record<string, string> | undefined {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  if (lines.length === 0) return undefined
  return Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(':')
      if (colon <= 0) throw new Error(`A header is "name: value"; this is not one: ${line}`)
      return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()]
    }),
  )
}

function add(outcome: Outcome): void {
  outcomes = [outcome, ...outcomes].slice(0, KEPT)
}
