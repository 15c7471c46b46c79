import { html, nothing, type TemplateResult } from 'lit'
import { TAB } from '../hub.ts'
import { store } from '../store.ts'

const STATES = { connected: 'Connected', connecting: 'Connecting', waiting: 'Offline', closed: 'Closed' } as const

export function header(): TemplateResult {
  const { state, reason } = store.connection
  return html`<a class="skip" href="#main">Skip to the demo</a>
    <header>
      <div>
        <h1>The photo demo</h1>
        <p class="lead">
          Drop photos. Five services, each a process of its own, do something with them, and none knows another: they only
          know the hub. Each box below lets you try one idea, and says what happens.
        </p>
      </div>
      <div class="me">
        <p class="connection ${state}" role="status">
          <span class="dot" aria-hidden="true"></span><strong>${STATES[state]}</strong>
          ${state === 'waiting' && reason ? html`<span class="reason">${reason.message}</span>` : nothing}
        </p>
        <p>This tab is <strong id="tab">${TAB}</strong>.
          <a href="./" target="_blank" rel="noopener">Open a second tab</a>
          ${store.config ? html` · <a href=${store.config.dashboard} target="_blank" rel="noopener">Dashboard of the hub</a>` : nothing}
        </p>
      </div>
    </header>`
}

export function footer(): TemplateResult {
  return html`<footer>
    <p>The page is a client like the services: it subscribes, asks and publishes over one WebSocket.</p>
  </footer>`
}
