import { html, nothing, type TemplateResult } from 'lit/html.js'
import { counted } from './format.ts'
import { indented } from './indented.ts'
import type { ShownPayload } from './payload.ts'

const FORMATS: Readonly<Record<ShownPayload['format'], string>> = {
  json: 'Payload, JSON',
  text: 'Payload (bytes, UTF-8 text)',
  hex: 'Payload (bytes, hexadecimal)',
  none: 'No payload',
}

/** A payload below its format. JSON gets line breaks; its numbers, keys and escapes stay as they are. */
export function payloadView({ text, format, cutFrom }: ShownPayload): TemplateResult {
  const unit = format === 'hex' ? 'byte' : 'character'
  return html`<p class="quiet">${FORMATS[format]}${cutFrom === undefined ? '' : `: beginning of ${counted(cutFrom, unit)}`}</p>
    ${format === 'none' ? nothing : preformatted('Payload', format === 'json' && cutFrom === undefined ? indented(text) : text)}`
}

/** Text with its own line breaks that the keyboard can scroll. It is not a landmark, because several may share a name. */
export function preformatted(label: string, text: string, kind = ''): TemplateResult {
  return html`<pre class=${kind} tabindex="0" role="group" aria-label=${label}>${text}</pre>`
}
