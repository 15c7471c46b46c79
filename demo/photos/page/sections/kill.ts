import { html, type TemplateResult } from 'lit'
import { button, card, said } from '../controls.ts'
import { ask } from '../hub.ts'
import { photo } from '../photos.ts'
import { changed, onChange, store, workersOf } from '../store.ts'
import { steps } from './drop.ts'

/** Photos uploaded so that there is something to work on. */
const PHOTOS = 4
/** Long enough to be killed in the middle. */
const SLOW_MS = 1500
const PATIENCE_MS = 20_000

let killed: { readonly worker: string; readonly photo: string } | undefined

export function kill(): TemplateResult {
  return card('kill', {
    why: html`A worker <em>acks</em> a message when its work is done. Until then it only has a <em>lease</em>. Here the
      process gets SIGKILL in the middle: no ack, no goodbye. The hub <em>redelivers</em> the photo to another worker.
      That is <em>at least once</em>: nothing is lost, and work may be done twice.`,
    look: 'the journey of that photo: attempt 1 dies, attempt 2 by another worker succeeds.',
    controls: html`<div class="controls">${button('kill', 'Kill a worker now', `${PHOTOS} photos are uploaded; waiting until a worker is in the middle of one…`, killOne)}</div>
      ${said('kill')}`,
    show: html`<div class="story" aria-live="polite">${
      killed
        ? story(killed)
        : html`<p class="empty">No worker has been killed yet. The journey of its photo appears here.</p>`
    }</div>`,
  })
}

function story({ worker, photo: id }: NonNullable<typeof killed>): TemplateResult {
  return html`<h3>${photo(id)?.photo.name ?? id}, which ${worker} was working on when it was killed</h3>
    ${steps(id)}`
}

async function killOne(): Promise<string> {
  const { ms = 0 } = store.slowness ?? {}
  await ask('stage.slow', { ms: SLOW_MS })
  try {
    await ask('stage.spike', { count: PHOTOS })
    await until(() => workersOf('thumbnails').some(({ state }) => state === 'working'))
    const { worker, photo } = await ask('stage.kill', {})
    if (photo === undefined) throw new Error(`${worker} was killed, but it had just finished its photo. Try again.`)
    killed = { worker, photo }
    changed()
    return `${worker} was killed in the middle of a photo.`
  } finally {
    await ask('stage.slow', { ms })
  }
}

/** Resolves once the condition holds. */
function until(condition: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => settle(() => reject(new Error('No worker began a photo in time.'))), PATIENCE_MS)
    const off = onChange(check)
    function settle(then: () => void): void {
      clearTimeout(timer)
      off()
      then()
    }
    function check(): void {
      if (condition()) settle(resolve)
    }
    check()
  })
}
