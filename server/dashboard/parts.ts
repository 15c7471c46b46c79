import { html, nothing, type TemplateResult } from 'lit/html.js'
import { clock, fullTime } from './format.ts'
import { isAway } from './hub.ts'

export type Content = TemplateResult | string | typeof nothing

/** How serious something is. A word next to the mark says the same as its colour and shape. */
export type Level = 'good' | 'warn' | 'bad'

/** A mark whose shape and colour show the level. */
export function mark(level: Level): TemplateResult {
  return html`<span class="dot ${level}" aria-hidden="true"></span>`
}

/** A sentence in a panel, with its level as a word. */
export function verdict(level: Level, text: Content): TemplateResult {
  return html`<p class="panel verdict">${mark(level)}<span><b class="level ${level}">${LEVELS[level]}</b> ${text}</span></p>`
}
const LEVELS: Readonly<Record<Level, string>> = { good: 'OK:', warn: 'Warning:', bad: 'Problem:' }

/** A point in time; the tooltip has the date and the time zone. */
export function moment(ms: number): TemplateResult {
  return html`<time datetime=${new Date(ms).toISOString()} title=${fullTime(ms)}>${clock(ms)}</time>`
}

/** The head of a page: its title, and what stands next to it. */
export function heading(title: Content, extra: Content = nothing): TemplateResult {
  return html`<header class="heading"><h1 tabindex="-1">${title}</h1>${extra}</header>`
}

/** One figure with its label and a note. */
export function figure(label: string, value: Content, word: Content = nothing, kind = ''): TemplateResult {
  return html`<div class="figure ${kind}"><dt>${label}</dt><dd><b>${value}</b><span class="quiet">${word}</span></dd></div>`
}

/** Shown in place of an empty list. */
export function empty(title: string, text: Content): TemplateResult {
  return html`<div class="empty"><p><b>${title}</b></p><p>${text}</p></div>`
}

/** Shown until the hub has answered, and if it refuses. */
export function unanswered(error: string | undefined): TemplateResult {
  if (error !== undefined) return empty('Not available', error)
  return isAway()
    ? empty('The hub is unreachable', 'This page loads as soon as the hub answers.')
    : empty('Loading', 'Waiting for the hub.')
}

/** Shown in place of something that was deleted while its page was open. */
export function deleted(kind: string): TemplateResult {
  return empty(`This ${kind} no longer exists`, 'It was deleted. If it is declared again, it appears here.')
}

/** A bar that shows how full something is; the text next to it says the same. */
export function fill(value: number, limit: number): TemplateResult {
  const part = value / limit
  return bar(value, limit, part >= 0.8 ? 'bad' : part >= 0.4 ? 'warn' : '')
}

/** A bar that compares a value with the maximum. */
export function bar(value: number, most: number, kind = ''): TemplateResult {
  const part = most > 0 ? Math.min(1, value / most) : 0
  return html`<svg class="fill ${kind}" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
    <rect class="all" width="100" height="6" /><rect class="part" width=${(part * 100).toFixed(1)} height="6" />
  </svg>`
}

/** Names and values, one pair per line. */
export function facts(rows: readonly (readonly [string, Content])[]): TemplateResult {
  return html`<dl class="facts">${rows.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`
}
