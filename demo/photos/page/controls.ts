import { html, nothing, type TemplateResult } from 'lit'
import { act, outcome } from './actions.ts'
import { LESSONS, type LessonId } from './lessons.ts'

/** A button that runs `work`; `said` shows the outcome. While busy it keeps the focus and does nothing. */
export function button(
  name: string,
  label: string | TemplateResult,
  doing: string,
  work: () => Promise<string>,
  kind: 'primary' | 'plain' = 'primary',
): TemplateResult {
  const busy = outcome(name)?.busy ?? false
  return html`<button type="button" class=${kind} aria-disabled=${busy} @click=${() => act(name, doing, work)}>
    ${label}${busy ? html`<span class="spinner" aria-hidden="true"></span>` : nothing}
  </button>`
}

/** The latest message of these controls, visible and for screen readers. */
export function said(...names: readonly string[]): TemplateResult {
  const [last] = names
    .map((name) => outcome(name))
    .filter((each) => each !== undefined)
    .sort((a, b) => b.at - a.at)
  return html`<p class=${last?.failed ? 'said failed' : 'said'} role="status">${last?.text ?? ''}</p>`
}

/** The parts of a lesson's card. */
export interface Card {
  /** What happens and why, in the field's own terms. */
  readonly why: string | TemplateResult
  /** What to look at. */
  readonly look: string | TemplateResult
  /** What to play with. */
  readonly controls?: TemplateResult
  /** The result. Its box has its final height from the start, so that nothing below it moves. */
  readonly show: unknown
}

/** One lesson: the explanation on one side, the result on the other. */
export function card(id: LessonId, { why, look, controls, show }: Card): TemplateResult {
  const at = LESSONS.findIndex((each) => each.id === id)
  const lesson = LESSONS[at]
  return html`<section class="card" id=${id} aria-labelledby="${id}-title">
    <div class="text">
      <p class="idea"><span class="number">${at + 1}</span> ${lesson?.idea}</p>
      <h2 id="${id}-title" tabindex="-1">${lesson?.title}</h2>
      <p class="why">${why}</p>
      ${controls ?? nothing}
    </div>
    <div class="show">
      <p class="look"><strong>What to look at:</strong> ${look}</p>
      ${show}
    </div>
  </section>`
}

/** Radio buttons that look like one control. */
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
