import { html, nothing, type TemplateResult } from 'lit'
import { repeat } from 'lit/directives/repeat.js'
import type { Notification } from '../../contract.ts'
import { card } from '../controls.ts'
import { TAB } from '../hub.ts'
import { changed, store } from '../store.ts'
import { clock, count } from '../text.ts'

const LISTED = 6

export function notifications(): TemplateResult {
  const { notices, noticed } = store
  return card('notifications', {
    why: html`When thumbnails are ready, the notifications service notifies every open tab (<em>fan-out</em>), each on its
      own topic: here <code>notifications.${TAB}</code>. These messages are not stored, so a closed tab misses them.
      That is <em>at most once</em>, the right choice for messages that are worthless later.`,
    look: 'a reload: the list is empty again, while the photos below are all there.',
    show: html`<div class="reserved">${
      notices.length === 0
        ? html`<p class="empty">Nothing yet. Each photo whose thumbnails are ready is listed here.</p>`
        : html`<ul class="notices">${repeat(notices.slice(0, LISTED), ({ photo, at }) => `${photo.id} ${at}`, row)}</ul>
          <p class="muted">${noticed > LISTED ? `and ${count(noticed - LISTED)} before these` : nothing}</p>`
    }</div>`,
  })
}

function row(notice: (typeof store.notices)[number]): TemplateResult {
  return html`<li>
    <img src=${notice.thumbnail} alt="" width="36" height="36" loading="lazy">
    <span>${words(notice)}</span>
    <time class="muted" datetime=${new Date(notice.at).toISOString()}>${clock(notice.at)}</time>
  </li>`
}

/** Sections that show the same about a photo already: a toast would cover or repeat it. */
const SAID_IN = ['drop', 'notifications']
const inView = new Set<Element>()

/** Call once, when the page is drawn. */
export function watchView(): void {
  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) inView.add(target)
      else inView.delete(target)
    }
    changed()
  })
  for (const id of SAID_IN) observer.observe(document.getElementById(id) as HTMLElement)
}

/** One line about the photos of this tab while the user looks elsewhere. Screen readers get a summary from time to time. */
export function toasts(): TemplateResult {
  const [first, ...more] = inView.size > 0 ? [] : store.toasts
  return html`<p class="unseen" role="status">${store.announced}</p>
    <div class="toasts" aria-hidden="true">${
      first
        ? html`<p class="toast"><img src=${first.thumbnail} alt="" width="36" height="36">${
            more.length === 0 ? words(first) : `${more.length + 1} of your photos are ready`
          }</p>`
        : nothing
    }</div>`
}

function words({ photo }: Notification): string {
  return photo.by === TAB ? `Your photo ${photo.name} is ready` : `${photo.name} by ${photo.by} is ready`
}
