import { html, nothing, render, type TemplateResult } from 'lit/html.js'
import './chart.ts'
import { clock } from './format.ts'
import { connection, isThere, model } from './hub.ts'
import { noticesView, putFailuresAway } from './notices.ts'
import type { OpenPage, Page } from './page.ts'
import { openConnection } from './pages/connection.ts'
import { openConnections } from './pages/connections.ts'
import { openDeadLetters } from './pages/dead-letters.ts'
import { openNotFound } from './pages/not-found.ts'
import { openOverview } from './pages/overview.ts'
import { openPublish } from './pages/publish.ts'
import { openQueue } from './pages/queue.ts'
import { openQueues } from './pages/queues.ts'
import { openStream } from './pages/stream.ts'
import { openStreams } from './pages/streams.ts'
import { openTail } from './pages/tail.ts'
import { openTopics } from './pages/topics.ts'
import type { Level } from './parts.ts'
import { missingRights, seenOnly } from './rights.ts'
import { currentRoute, href, type PageRoute } from './route.ts'
import { invalidate, onDraw } from './schedule.ts'
import { loginHref, whoami, whoView } from './who.ts'

const SECTIONS: readonly (readonly [section: string, title: string])[] = [
  ['overview', 'Overview'],
  ['connections', 'Connections'],
  ['topics', 'Topics'],
  ['streams', 'Streams'],
  ['queues', 'Queues'],
  ['tail', 'Tail'],
  ['publish', 'Publish'],
]

const app = document.getElementById('app') as HTMLElement
let route: PageRoute
let page: Page

function opener({ section, rest }: PageRoute): OpenPage {
  switch (section) {
    case 'connections':
      return rest[0] ? openConnection : openConnections
    case 'topics':
      return openTopics
    case 'streams':
      return rest[0] ? openStream : openStreams
    case 'queues':
      return rest[1] === 'dead-letters' ? openDeadLetters : rest[0] ? openQueue : openQueues
    case 'tail':
      return openTail
    case 'publish':
      return openPublish
    case 'overview':
      return openOverview
    default:
      return openNotFound
  }
}

function navigate(): void {
  page?.close?.()
  const before = route as PageRoute | undefined
  route = currentRoute()
  page = opener(route)(route)
  document.title = `${page.title} – Fanfare`
  const moved = before && [before.section, ...before.rest].join('/') !== [route.section, ...route.rest].join('/')
  if (moved) putFailuresAway()
  draw()
  const otherRows = before?.query.get('from') !== route.query.get('from')
  if (moved || otherRows) scrollTo(0, 0)
  if (!moved) return
  // For users of screen readers, and for keyboard users whose followed link has disappeared.
  app.querySelector('h1')?.focus({ preventScroll: true })
}

function draw(): void {
  render(
    html`<a class="skip" href="#content" @click=${skip}>Skip to content</a>
      <header class="top">
        <a class="brand" href=${href(['overview'])}><img src="./icon.svg" alt="" width="22" height="22" />Fanfare</a>
        <nav aria-label="Sections">${SECTIONS.map(
          ([section, title]) =>
            html`<a href=${href([section])} aria-current=${section === route.section ? 'page' : nothing}>${title}</a>`,
        )}</nav>
        <p class="state" role="status">${stateWords()}</p>
        ${whoView()}
      </header>
      ${isThere() ? refused() : lost()}
      <main id="content" class=${isThere() ? '' : 'stale'}>${page.view()}</main>
      ${noticesView()}`,
    app,
  )
}

function stateWords(): TemplateResult {
  const [kind, words] = standing()
  return html`<span class="dot ${kind}" aria-hidden="true"></span>${words}`
}

function standing(): readonly [Level, string] {
  if (isThere()) return ['good', 'Connected']
  if (connection.state === 'connected') return ['warn', 'No answer']
  if (connection.state === 'closed') return ['bad', 'Closed']
  return ['warn', connection.reason === '' ? 'Connecting' : 'Reconnecting']
}

/** Reports that the figures are old, and why. */
function lost(): TemplateResult | typeof nothing {
  const { state, reason, loggedOut } = connection
  if (loggedOut) return endedToken()
  if (state === 'connected')
    return html`<p class="lost" role="alert"><b>The hub does not answer.</b> ${figuresOf()}</p>`
  if (reason === '') return nothing
  const words =
    state === 'closed' ? 'The hub closed the connection permanently.' : 'No connection to the hub. Reconnecting…'
  return html`<p class="lost" role="alert"><b>${words}</b> ${reason}${/[.!?]$/.test(reason) ? '' : '.'}
    ${figuresOf()}
    ${state === 'closed' ? html`<button @click=${() => location.reload()}>Reload the page</button>` : ''}</p>`
}

/** The time of the figures that are shown. */
function figuresOf(): string {
  return model.heardAt > 0 ? `The figures are from ${clock(model.heardAt)}.` : ''
}

/** The token is no longer valid. The page keeps its content, to be read or copied. */
function endedToken(): TemplateResult {
  const { expiresAt } = whoami() ?? {}
  const expired = expiresAt !== undefined && expiresAt <= Date.now()
  return html`<p class="lost" role="alert"><b>${expired ? 'Your token has expired.' : 'The hub no longer accepts your token.'}</b>
    ${figuresOf()} <a href=${loginHref(expired)}>Log in again</a></p>`
}

/** Permissions that the token lacks for what is shown. */
function refused(): TemplateResult | typeof nothing {
  const { section } = route
  const some = section === 'queues' || section === 'streams' ? seenOnly(section, whoami()) : undefined
  const words = [missingRights(), some].filter((each) => each !== undefined).join(' ')
  if (words === '') return nothing
  return html`<p class="lost" role="alert"><b>You cannot see everything here.</b> ${words}</p>`
}

function skip(event: Event): void {
  event.preventDefault()
  app.querySelector('h1')?.focus()
}

onDraw(draw)
addEventListener('hashchange', navigate)
navigate()
invalidate()
