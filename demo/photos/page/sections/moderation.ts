import { html, type TemplateResult } from 'lit'
import { button, card, said } from '../controls.ts'
import { ask } from '../hub.ts'
import { totals } from '../photos.ts'
import { store, workersOf } from '../store.ts'
import { count, counted } from '../text.ts'

export function moderation(): TemplateResult {
  const running = workersOf('moderation').some(({ state }) => state !== 'dead' && state !== 'stopped')
  return card(
    'moderation',
    'A service that comes later',
    html`Nobody moderates yet, and nothing has to change for it: once started, the service reads the log from its
      beginning, works through all that was uploaded before it existed, and goes on live. The others do not notice.`,
    html`<div class="controls">
        ${
          running
            ? button('moderation', 'Stop moderation', 'Stopping…', stop, 'plain')
            : button('moderation', 'Start moderation now', 'Starting…', start)
        }
      </div>
      ${said('moderation')} ${progress()}`,
  )
}

function progress(): TemplateResult {
  const { moderated, uploaded } = totals
  if (moderated === 0) return html`<p class="empty">${counted(uploaded, 'photo')} in the log, none judged yet.</p>`
  const { at = 0, of = 0, flagged = 0 } = store.progress ?? {}
  return html`<label class="progress">${count(moderated)} of ${counted(uploaded, 'photo')} judged${
    flagged > 0 ? `, ${count(flagged)} flagged` : ''
  }
      <progress max=${uploaded} .value=${moderated}></progress>
    </label>
    <p class="muted">
      It has read ${count(at)} of ${counted(of, 'message')} of the log. The verdicts stand on the photos above.
    </p>`
}

async function start(): Promise<string> {
  await ask('stage.start', { service: 'moderation' })
  return 'Moderation is started.'
}

async function stop(): Promise<string> {
  await ask('stage.stop', { service: 'moderation' })
  return 'Moderation is stopped. Started again, it goes on where it was.'
}
