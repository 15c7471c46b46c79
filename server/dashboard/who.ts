import { html, nothing, type TemplateResult } from 'lit/html.js'
import type { WhoAmI } from '../../shared/whoami.ts'
import { clock } from './format.ts'
import { wholeClient } from './hub.ts'
import { notice } from './notices.ts'
import { invalidate } from './schedule.ts'

let who: WhoAmI | undefined

/** The identity of this page at the hub; undefined until the hub has reported it. */
export function whoami(): WhoAmI | undefined {
  return who
}

async function learn(): Promise<void> {
  // An older hub does not know the method.
  who = await wholeClient.admin.hub.whoami().catch(() => undefined)
  invalidate()
}

wholeClient.onState(({ to }) => {
  if (to === 'connected') void learn()
})

/** The tabs of this dashboard, but not of other dashboards on the same host. */
const tabs = new BroadcastChannel(`fanfare ${new URL('.', document.baseURI).pathname}`)
tabs.onmessage = leave

/** The user's identity, with a button to log out. Empty if the hub does not require a login. */
export function whoView(): TemplateResult | typeof nothing {
  if (!who || (who.subject === undefined && who.permissions.admin === true)) return nothing
  const { subject, roles, expiresAt } = who
  if (subject === undefined) return html`<p class="who">You are not logged in. <a href=${loginHref()}>Log in</a></p>`
  const role = roles.length === 0 ? '' : `, ${roles.length === 1 ? 'role' : 'roles'} ${roles.join(', ')}`
  const end = expiresAt === undefined ? '' : `, token expires at ${clock(expiresAt)}`
  return html`<p class="who"><span>You are <b>${subject}</b>${role}${end}</span>
    <button class="plain" @click=${logOut}>Log out</button></p>`
}

/** The login page's address, which leads back to the current page. */
export function loginHref(ended = false): string {
  return `login${ended ? '?ended' : ''}${location.hash}`
}

async function logOut(): Promise<void> {
  const answer = await fetch(new URL('logout', document.baseURI), { method: 'POST' }).catch(() => undefined)
  if (!answer?.ok) return notice('The hub is unreachable. You are still logged in.', true)
  tabs.postMessage('logged out')
  leave()
}

function leave(): void {
  location.assign(new URL('.', document.baseURI))
}
