import { html, nothing, type TemplateResult } from 'lit'
import { act, outcome } from './actions.ts'

/** A button that does `work`; its outcome is read with `said`. While it works it keeps the focus, and does nothing. */
export function button(
  name: string,
  label: string | TemplateResult,
  doing: string,
  work: () => Promise<string>,
  kind: 'primary' | 'plain' = 'primary',
): TemplateResult {
  const busy = outcome(name)?.busy ?? false
  return html`<button type="button" class=${kind} aria-disabled=${busy} @click=${() => act(name, doing, work)}>
    ${busy ? html`<span class="spinner" aria-hidden="true"></span>` : nothing}${label}
  </button>`
}

/** What the newest of these controls has said, for the eye and for screen readers. */
export function said(...names: readonly string[]): TemplateResult {
  const [last] = names
    .map((name) => outcome(name))
    .filter((each) => each !== undefined)
    .sort((a, b) => b.at - a.at)
  return html`<p class=${last?.failed ? 'said failed' : 'said'} role="status">${last?.text ?? ''}</p>`
}

/** One idea of the page: its heading, what happens and why, and what to play with. */
export function card(id: string, title: string, why: string | TemplateResult, body: unknown): TemplateResult {
  return html`<section class="card" id=${id} aria-labelledby="${id}-title">
    <h2 id="${id}-title" tabindex="-1">${title}</h2>
    <p class="why">${why}</p>
    ${body}
  </section>`
}

/** One of several, by radio buttons that look like one control. */
export function choice<Value extends string | number>(
  name: string,
  legend: string,
  options: readonly { readonly value: Value; readonly label: string }[],
  chosen: Value | undefined,
  choose: (value: Value) => void,
): TemplateResult {
  return html`<fieldset class="choice">
    <legend>${legend}</legend>
    <div>
      ${options.map(
        ({ value, label }) => html`<label>
          <input type="radio" name=${name} .value=${String(value)} .checked=${value === chosen}
            @change=${() => choose(value)}><span>${label}</span>
        </label>`,
      )}
    </div>
  </fieldset>`
}
