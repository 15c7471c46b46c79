import { html, nothing, type TemplateResult } from 'lit/html.js'

type Content = TemplateResult | string | typeof nothing

/** The head of a section: its name, and what stands beside it. */
export function heading(title: Content, beside: Content = nothing): TemplateResult {
  return html`<header class="heading"><h1 tabindex="-1">${title}</h1>${beside}</header>`
}

/** One figure with its name, and a word on it. */
export function figure(label: string, value: Content, word: Content = nothing, kind = ''): TemplateResult {
  return html`<div class="figure ${kind}"><dt>${label}</dt><dd><b>${value}</b><span class="quiet">${word}</span></dd></div>`
}

/** What stands where there is nothing. */
export function empty(title: string, text: Content): TemplateResult {
  return html`<div class="empty"><p><b>${title}</b></p><p>${text}</p></div>`
}

/** A bar that shows how full something is, for those who see it; the words beside it say the same. */
export function fill(value: number, limit: number): TemplateResult {
  const part = value / limit
  return bar(value, limit, part >= 0.8 ? 'bad' : part >= 0.4 ? 'warn' : '')
}

/** A bar that shows a value beside the greatest. */
export function bar(value: number, most: number, kind = ''): TemplateResult {
  const part = most > 0 ? Math.min(1, value / most) : 0
  return html`<svg class="fill ${kind}" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
    <rect class="all" width="100" height="6" /><rect class="part" width=${(part * 100).toFixed(1)} height="6" />
  </svg>`
}

/** Names and values, one below the other. */
export function facts(rows: readonly (readonly [string, Content])[]): TemplateResult {
  return html`<dl class="facts">${rows.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`
}
