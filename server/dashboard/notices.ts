import { html, type TemplateResult } from 'lit/html.js'
import { missingRight } from './rights.ts'
import { invalidate } from './schedule.ts'

interface Notice {
  readonly text: string
  readonly failed: boolean
}

/** How long a success notice stays, in milliseconds; a failure stays until it is dismissed. */
const STAYS_MS = 8000

let notices: readonly Notice[] = []

/** Shows the result of an action. */
export function notice(text: string, failed = false): void {
  const added = { text, failed }
  notices = [...notices.slice(-2), added]
  if (!failed) setTimeout(() => putAway(added), STAYS_MS)
  invalidate()
}

/** Dismisses failures when the user moves to another page; successes disappear by themselves. */
export function putFailuresAway(): void {
  notices = notices.filter(({ failed }) => !failed)
}

/** Awaits an action and shows how it ended; resolves to whether it succeeded. */
export async function tell<Result>(asked: Promise<Result>, done: (result: Result) => string): Promise<boolean> {
  try {
    notice(done(await asked))
    return true
  } catch (error) {
    notice(errorText(error), true)
    return false
  }
}

export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const missing = missingRight(error)
  if (missing !== undefined) return missing
  return 'code' in error ? `${error.message} (${error.code})` : error.message
}

export function noticesView(): TemplateResult {
  return html`<div class="notices" role="status" aria-live="polite">
    ${notices.map(
      (each) => html`<p class="notice ${each.failed ? 'failed' : ''}">
        <span>${each.text}</span>
        <button class="plain" aria-label="Dismiss this message" @click=${() => putAway(each)}>×</button>
      </p>`,
    )}
  </div>`
}

function putAway(notice: Notice): void {
  notices = notices.filter((each) => each !== notice)
  invalidate()
}
