import { html, nothing, type TemplateResult } from 'lit'
import { repeat } from 'lit/directives/repeat.js'
import { card } from '../controls.ts'
import { TAB } from '../hub.ts'
import { store, TOAST_MS } from '../store.ts'
import { count } from '../text.ts'

const LISTED = 8
const TOASTS = 3

type Notice = (typeof store.notices)[number]

export function notifications(): TemplateResult {
  const { notices, noticed } = store
  return card(
    'notifications',
    'Notifications',
    html`This tab follows the photos: the notifications service tells each follower on a topic of its own,
      <code>notifications.${TAB}</code>. Nothing keeps these: a tab that is closed needs none.`,
    notices.length === 0
      ? html`<p class="empty">Nothing yet. Each photo whose thumbnails are ready is told here.</p>`
      : html`<ul class="notices">${repeat(notices.slice(0, LISTED), ({ photo, at }) => `${photo.id} ${at}`, row)}</ul>
          ${noticed > LISTED ? html`<p class="muted">and ${count(noticed - LISTED)} before these</p>` : nothing}`,
  )
}

function row(notice: Notice): TemplateResult {
  return html`<li>
    <img src=${notice.thumbnail} alt="" width="36" height="36" loading="lazy">
    <span>${words(notice)}</span>
    <time class="muted">${new Date(notice.at).toLocaleTimeString()}</time>
  </li>`
}

/** The newest, over the page; in a spike one line stands for all that do not fit. Read out is a summary, now and then. */
export function toasts(): TemplateResult {
  const fresh = store.notices.filter(({ at }) => Date.now() - at < TOAST_MS)
  const rest = fresh.length - TOASTS
  return html`<p class="unseen" role="status">${store.announced}</p>
    <div class="toasts" aria-hidden="true">
      ${repeat(
        fresh.slice(0, TOASTS),
        ({ photo, at }) => `${photo.id} ${at}`,
        (notice) =>
          html`<p class="toast"><img src=${notice.thumbnail} alt="" width="36" height="36">${words(notice)}</p>`,
      )}
      ${rest > 0 ? html`<p class="toast more">and ${count(rest)} more</p>` : nothing}
    </div>`
}

function words({ photo }: Notice): string {
  return photo.by === TAB ? `Your photo ${photo.name} is ready` : `${photo.name} of ${photo.by} is ready`
}
