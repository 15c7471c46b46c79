import { html, nothing, type TemplateResult } from 'lit'
import { button, card, said } from '../controls.ts'
import { ask } from '../hub.ts'
import { photo } from '../photos.ts'
import { changed, onChange, store, workersOf } from '../store.ts'
import { steps } from './drop.ts'

/** Long enough to be hit in the middle. */
const SLOW_MS = 1500
const PATIENCE_MS = 20_000

let killed: { readonly worker: string; readonly photo: string } | undefined

export function kill(): TemplateResult {
  return card(
    'kill',
    'Kill a worker mid-photo',
    html`The process gets SIGKILL while it works: no goodbye, no clean-up. Its photo was only on lease, so the hub gives it
      to another worker, which is told how the attempt before it ended.`,
    html`<div class="controls">${button('kill', 'Kill a worker now', 'Waiting until a worker is in the middle of a photo…', killOne)}</div>
      ${said('kill')} ${killed ? story(killed) : nothing}`,
  )
}

function story({ worker, photo: id }: NonNullable<typeof killed>): TemplateResult {
  return html`<div class="story" aria-live="polite">
    <h3>${photo(id)?.photo.name ?? id}, over which ${worker} died</h3>
    ${steps(id)}
  </div>`
}

async function killOne(): Promise<string> {
  const { ms = 0 } = store.slowness ?? {}
  await ask('stage.slow', { ms: SLOW_MS })
  try {
    await ask('stage.spike', { count: 4 })
    await until(() => workersOf('thumbnails').some(({ state }) => state === 'working'))
    const { worker, photo } = await ask('stage.kill', {})
    if (photo === undefined) throw new Error(`${worker} was killed, but it had just finished its photo. Try again.`)
    killed = { worker, photo }
    changed()
    return `${worker} was killed. Below is what becomes of its photo.`
  } finally {
    await ask('stage.slow', { ms })
  }
}

/** Resolves once it is so. */
function until(condition: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => settle(() => reject(new Error('No worker has begun a photo in time.'))), PATIENCE_MS)
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
