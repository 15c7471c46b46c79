import { html, nothing, type TemplateResult } from 'lit/html.js'
import type { DeadLetter } from '../../../shared/queues.ts'
import { counted } from '../format.ts'
import { type Content, facts, moment } from '../parts.ts'
import { shownPayload } from '../payload.ts'
import { payloadView, preformatted } from '../payload-view.ts'
import { REASONS } from './letters.ts'

/** The details of one dead letter. */
export function insideLetter(dead: DeadLetter): TemplateResult {
  const { letter, message, reason, error, attempts, publishedAt, diedAt, origin } = dead
  const headers = Object.entries(message.headers ?? {}).map(([name, value]) => `${name}: ${value}`)
  const name = (text: string) => html`<span class="name">${text}</span>`
  const rows: (readonly [string, Content])[] = [
    ['Reason', `${REASONS[reason]}, after ${counted(attempts, 'attempt')}`],
    ['Published', moment(publishedAt)],
    ['Dead-lettered', moment(diedAt)],
    ['Original queue', name(origin)],
    ['Topic', name(message.topic)],
    ['Id', name(message.id)],
    ['Dead letter', String(letter)],
    ...(message.key === undefined ? [] : ([['Key', name(message.key)]] as const)),
    ...(headers.length === 0 ? [] : ([['Headers', name(headers.join('\n'))]] as const)),
  ]
  return html`<div class="inside">
    ${error === undefined ? nothing : html`<p class="quiet">Error</p>${preformatted('Error', error, 'error')}`}
    ${payloadView(shownPayload(payloadOf(dead), Number.POSITIVE_INFINITY))} ${facts(rows)}
  </div>`
}

function payloadOf({ message: { raw, json, base64 } }: DeadLetter): string | Uint8Array | undefined {
  if (base64 === undefined) return json ?? raw
  return Uint8Array.from(atob(base64), (each) => each.charCodeAt(0))
}
