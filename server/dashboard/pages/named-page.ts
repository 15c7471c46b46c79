import { html, nothing, type TemplateResult } from 'lit/html.js'
import { type HistoryView, historyOf } from '../history-view.ts'
import type { Page } from '../page.ts'
import { deleted, heading, unanswered } from '../parts.ts'
import { poll } from '../poll.ts'
import { href, type PageRoute } from '../route.ts'

/** What the page of one stream or queue shows. */
interface NamedPage<Info> {
  readonly kind: 'stream' | 'queue'
  /** The actions next to its name. */
  verbs(info: Info): TemplateResult
  details(info: Info, history: HistoryView): TemplateResult
}

/** Opens the page of a stream or queue: its name, and the details while it exists. */
export function openNamed<Info>(route: PageRoute, { kind, verbs, details }: NamedPage<Info>): Page {
  const {
    rest: [name = ''],
  } = route
  const shown = poll<Info>(`${kind}s.show`, { name })
  const history = historyOf(route, { of: kind, name })
  const list = { queue: 'Queues', stream: 'Streams' }[kind]
  return {
    title: name,
    close() {
      shown.stop()
      history.close()
    },
    view() {
      const back = html`<p class="back"><a href=${href([`${kind}s`])}>${list}</a></p>`
      const info = shown.gone ? undefined : shown.value
      // The heading stays the same element whatever is below it, because it may have the focus.
      return html`${back}${heading(html`<span class="name">${name}</span>`, info ? verbs(info) : nothing)}
        ${info ? details(info, history) : shown.value ? deleted(kind) : unanswered(shown.error)}`
    },
  }
}
