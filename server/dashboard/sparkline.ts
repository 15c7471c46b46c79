import { html, type TemplateResult } from 'lit/html.js'
import { HISTORY_S, type History } from './history.ts'

const POINTS = 60
const STEP_S = HISTORY_S / POINTS
const HEIGHT = 24

/** A figure over the last five minutes as a small line, from zero to its most. */
export function sparkline(history: History, figure: number): TemplateResult {
  const peaks = new Array<number>(POINTS).fill(-1)
  // In steps of a point: what has not changed is not drawn anew each second.
  const start = (Math.floor(Date.now() / 1000 / STEP_S) + 1) * STEP_S - HISTORY_S
  let most = 0
  history.each(figure, (time, value) => {
    const at = Math.min(POINTS - 1, Math.floor(((time - start) / HISTORY_S) * POINTS))
    if (at < 0) return
    peaks[at] = Math.max(peaks[at] as number, value)
    most = Math.max(most, value)
  })
  let path = ''
  let drawing = false
  for (const [at, peak] of peaks.entries()) {
    if (peak < 0) continue
    const y = HEIGHT - 2 - (most > 0 ? (peak / most) * (HEIGHT - 4) : 0)
    path += `${drawing ? 'L' : 'M'}${((at / (POINTS - 1)) * 100).toFixed(1)} ${y.toFixed(1)}`
    drawing = true
  }
  return html`<svg class="sparkline" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">
    <path d=${path} /></svg>`
}
