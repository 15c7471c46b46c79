import { html, nothing, render } from 'lit/html.js'
import { canAct } from './acts.ts'
import { onDraw } from './schedule.ts'

export interface Confirmation {
  readonly title: string
  /** What will happen, and what cannot be undone. */
  readonly text: string
  /** Label of the button. */
  readonly verb: string
  /** Text that must be typed first; used if much would be lost. */
  readonly typed?: string
}

/** Shows a confirmation dialog; resolves to false for Cancel and Escape. */
export function confirmed({ title, text, verb, typed }: Confirmation): Promise<boolean> {
  const dialog = document.createElement('dialog')
  dialog.setAttribute('aria-labelledby', 'question')
  let ready = typed === undefined
  const draw = () =>
    render(
      html`<form method="dialog">
        <h2 id="question">${title}</h2>
        <p>${text}</p>
        ${
          typed === undefined
            ? nothing
            : html`<label>
                <span>Type <b class="name">${typed}</b> to continue</span>
                <input
                  autofocus autocomplete="off" spellcheck="false"
                  @input=${(event: Event) => {
                    ready = (event.target as HTMLInputElement).value === typed
                    draw()
                  }}
                />
              </label>`
        }
        <p role="status">${canAct() ? nothing : 'The hub is unreachable. This is not possible right now.'}</p>
        <p class="buttons">
          <button value="no" type="button" @click=${() => dialog.close('no')}>Cancel</button>
          <button value="yes" class="danger" ?disabled=${!ready || !canAct()}>${verb}</button>
        </p>
      </form>`,
      dialog,
    )
  draw()
  const stop = onDraw(draw)
  document.body.append(dialog)
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      stop()
      dialog.remove()
      resolve(dialog.returnValue === 'yes')
    })
    dialog.showModal()
  })
}
