import { html, type TemplateResult } from 'lit/html.js'

const HEIGHT = 24

/** Recent figures as a small line from zero to their maximum; empty without a history. */
export function sparkline(figures: readonly number[] = []): TemplateResult {
  const most = Math.max(0, ...figures)
  const points = figures.map((value, at) => {
    const x = figures.length > 1 ? (at / (figures.length - 1)) * 100 : 100
    const y = HEIGHT - 2 - (most > 0 ? (value / most) * (HEIGHT - 4) : 0)
    return `${at > 0 ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`
  })
  return html`<svg class="sparkline" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">
    <path d=${points.join('')} /></svg>`
}
