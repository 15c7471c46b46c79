import { html, type TemplateResult } from 'lit'
import { type Away, got, missed } from '../away.ts'
import { button, card, said } from '../controls.ts'
import { ask, TAB } from '../hub.ts'
import { store } from '../store.ts'
import { count, counted, seconds } from '../text.ts'
import { connection } from './frame.ts'

const CUT_MS = 5000
/** Photos uploaded elsewhere while this tab is offline. */
const MEANWHILE = 12

export function network(): TemplateResult {
  return card('network', {
    why: html`This tab loses its connection for ${CUT_MS / 1000} seconds, and ${MEANWHILE} photos are uploaded meanwhile.
      The client reconnects by itself and <em>resumes</em>: it names the last <em>offset</em> of the stream that it has
      seen, and the hub sends what it missed before anything new.`,
    look: html`the state of the connection, and whether the hub reports <code>recovered</code>: then nothing is missing.`,
    controls: html`<div class="controls">${button('cut', `Cut this tab off for ${CUT_MS / 1000} seconds`, 'Cutting…', cut)}</div>
      ${said('cut')}`,
    show: html`${connection()}
      <div class="story" aria-live="polite">${store.away ? story(store.away) : html`<p class="empty">This tab has not been offline.</p>`}</div>`,
  })
}

function story(away: Away): TemplateResult {
  if (away.until === undefined) {
    return html`<p><strong>Offline.</strong> The others continue. The first message that this tab misses has offset ${count(away.first)}.</p>`
  }
  const gone = seconds(away.until - away.since)
  const all = missed(away)
  if (all === undefined) return html`<p><strong>Back after ${gone}.</strong> Asking how much was missed…</p>`
  const { messages, uploads } = got(away)
  const verdict = messages === all ? `received all ${count(all)}` : `received ${count(messages)} so far`
  return html`<p><strong>Missed ${counted(all, 'message')} while offline, ${verdict}.</strong></p>
    <p>Offline for ${gone}. Among the messages ${uploads === 1 ? 'is' : 'are'} ${counted(uploads, 'new photo')}${messages > uploads ? '; the others report thumbnails and verdicts' : ''}.</p>
    <p>The hub reported <code>recovered: ${String(away.recovered)}</code>: ${
      away.recovered ? 'nothing is missing.' : 'the stream no longer holds all of it.'
    }</p>`
}

async function cut(): Promise<string> {
  try {
    await ask('stage.cut', { tab: TAB, ms: CUT_MS, photos: MEANWHILE })
  } catch (error) {
    // The cut may come before the response.
    if ((error as { code?: string }).code !== 'connection_lost') throw error
  }
  return 'The edge will now disconnect this tab.'
}
