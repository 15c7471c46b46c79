import { html, nothing, type TemplateResult } from 'lit/html.js'
import { counted } from './format.ts'
import { indented } from './indented.ts'
import type { ShownPayload } from './payload.ts'

const FORMATS: Readonly<Record<ShownPayload['format'], string>> = {
  json: 'Payload, JSON',
  text: 'Payload, bytes that are text in UTF-8',
  hex: 'Payload, bytes in hexadecimal',
  none: 'No payload',
}

/** A payload below its format. JSON gets line breaks, and keeps its numbers, keys and escapes. */
export function payloadView({ text, format, cutFrom }: ShownPayload): TemplateResult {
  const unit = format === 'hex' ? 'byte' : 'character'
  return html`<p class="quiet">${FORMATS[format]}${cutFrom === undefined ? '' : `: the beginning of ${counted(cutFrom, unit)}`}</p>
    ${format === 'none' ? nothing : preformatted('Payload', format === 'json' && cutFrom === undefined ? indented(text) : text)}`
}

/** A text with its own line breaks, which the keyboard can scroll. It is no landmark: there may be many of one name. */
export function preformatted(label: string, text: string, kind = ''): TemplateResult {
  return html`<pre class=${kind} tabindex="0" role="group" aria-label=${label}>${text}</pre>`
}
