import { html, type TemplateResult } from 'lit'
import { type Away, got, missed } from '../away.ts'
import { button, card, said } from '../controls.ts'
import { ask, TAB } from '../hub.ts'
import { store } from '../store.ts'
import { count, counted } from '../text.ts'

const CUT_MS = 5000
/** Photos of somebody else while this tab is away. */
const MEANWHILE = 12

export function network(): TemplateResult {
  return card(
    'network',
    'Cut the network',
    html`The edge cuts this tab off for ${CUT_MS / 1000} seconds, while somebody else uploads ${MEANWHILE} photos. The tab
      connects again by itself, says at which offset of the log it was, and gets what it missed before anything new.`,
    html`<div class="controls">${button('cut', `Cut this tab off for ${CUT_MS / 1000} seconds`, 'Cutting…', cut)}</div>
      ${said('cut')}
      <div class="story" aria-live="polite">${store.away ? story(store.away) : html`<p class="empty">This tab was never away.</p>`}</div>`,
  )
}

function story(away: Away): TemplateResult {
  if (away.until === undefined) {
    return html`<p><strong>Offline.</strong> Photos go on meanwhile; this tab was at offset ${count(away.first)} of the log.</p>`
  }
  const seconds = ((away.until - away.since) / 1000).toFixed(1)
  const all = missed(away)
  if (all === undefined) return html`<p><strong>Back after ${seconds} s.</strong> Asking how much was missed…</p>`
  const came = got(away)
  const verdict = came === all ? `got all ${count(all)}` : `got ${count(came)} so far`
  return html`<p><strong>Missed ${counted(all, 'message')} while away, ${verdict}.</strong></p>
    <p>Away for ${seconds} s; ${counted(away.photos, 'new photo')} among them.
      The hub said <code>recovered: ${String(away.recovered)}</code>${
        away.recovered ? ', which means: nothing is missing.' : ', which means: the log no longer holds all of it.'
      }</p>`
}

async function cut(): Promise<string> {
  try {
    await ask('stage.cut', { tab: TAB, ms: CUT_MS, photos: MEANWHILE })
  } catch (error) {
    // The cut may come before its own answer.
    if ((error as { code?: string }).code !== 'connection_lost') throw error
  }
  return 'The edge was told to cut this tab off.'
}
