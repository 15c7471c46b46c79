import { html, nothing, type TemplateResult } from 'lit'
import { TAB } from '../hub.ts'
import { LESSONS } from '../lessons.ts'
import { store } from '../store.ts'

const STATES = {
  connected: 'Connected',
  connecting: 'Connecting…',
  waiting: 'Offline: reconnecting…',
  closed: 'Closed',
} as const

export function header(): TemplateResult {
  return html`<a class="skip" href="#main">Skip to the lessons</a>
    <header>
      <h1>The photo demo</h1>
      <p class="lead">
        Drop photos. Five services, each a process of its own, do something with them, and none knows another: they only
        exchange messages through the hub. Each lesson below lets you try one idea of messaging.
      </p>
    </header>
    <aside aria-label="This tab and the lessons">
      <div class="me">
        ${connection(true)}
        <p>This tab is <strong id="tab">${TAB}</strong></p>
        <p><a href="./" target="_blank" rel="noopener">Open a second tab</a></p>
        ${store.config ? html`<p><a href=${store.config.dashboard} target="_blank" rel="noopener">Dashboard of the hub</a></p>` : nothing}
      </div>
      <nav aria-label="Lessons">
        <ol>${LESSONS.map(({ id, title }, at) => html`<li><a href="#${id}" @click=${go}><span class="number">${at + 1}</span> ${title}</a></li>`)}</ol>
      </nav>
    </aside>`
}

/** The state of this tab's connection, always on one line; only one of them is read out. */
export function connection(isAnnounced = false): TemplateResult {
  const { state, reason } = store.connection
  const why = state === 'closed' ? reason?.message : undefined
  return html`<p class="connection ${state}" role=${isAnnounced ? 'status' : nothing}>
    <span class="dot" aria-hidden="true"></span><strong>${STATES[state]}</strong>${why ? html` <span class="reason">${why}</span>` : nothing}
  </p>`
}

export function footer(): TemplateResult {
  return html`<footer>
    <p>The page is a client like the services: it subscribes, sends requests and publishes over one WebSocket.</p>
  </footer>`
}

/** Moves the focus as well, so that the Tab key continues in the lesson. */
function go(event: Event): void {
  const { hash } = event.currentTarget as HTMLAnchorElement
  document.querySelector<HTMLElement>(`${hash}-title`)?.focus({ preventScroll: true })
}
