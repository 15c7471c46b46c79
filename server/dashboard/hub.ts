import {
  type Client,
  type ConnectionState,
  type ConnectionStateReason,
  connect,
  type DeadLetterAdmin,
} from '../../client/index.ts'
import { Model } from './model.ts'
import { LogInNeeded, ownToken } from './own-token.ts'
import { dataChanged, invalidate } from './schedule.ts'

const path = document.querySelector<HTMLMetaElement>('meta[name="fanfare-path"]')?.content ?? '/'

/** The hub's WebSocket endpoint, relative to the page: a proxy may serve both under a path prefix. */
export const hubUrl = new URL(`.${path}`, document.baseURI).href.replace(/^http/, 'ws')

/** Where the page gets the token that the browser stores. */
export const tokenUrl = new URL('token', document.baseURI).href

/** The state of the connection, and why it was lost. */
export const connection: {
  state: ConnectionState
  reason: string
  /** The token that this page was opened with is no longer valid: the page has to be opened with another one. */
  loggedOut: boolean
} = { state: 'connecting', reason: '', loggedOut: false }

/** For `acts.ts` only: every change goes through it. */
export const wholeClient: Client = connect(hubUrl, {
  name: 'fanfare dashboard',
  backoff: { base: 200, cap: 5000 },
  getToken: token,
})

/** The client for reading. Actions on the hub go through `act`. */
export const client: Pick<Client, 'call' | 'state' | 'onState'> & {
  readonly admin: { readonly queues: { readonly deadLetters: Pick<DeadLetterAdmin, 'list' | 'count'> } }
} = wholeClient

let hadToken = false

async function token(): Promise<string | undefined> {
  try {
    const token = await ownToken(tokenUrl)
    // Otherwise this page would continue as an anonymous client without its user noticing.
    if (token === undefined && hadToken) throw new LogInNeeded('The token has ended')
    hadToken = token !== undefined
    return token
  } catch (error) {
    if (error instanceof LogInNeeded && connection.state !== 'connected') {
      connection.loggedOut = true
      invalidate()
      void wholeClient.close({ timeout: 1 })
    }
    throw error
  }
}

wholeClient.onState(({ to, reason }) => {
  connection.state = to
  if (to === 'connected') connection.reason = ''
  else if (to !== 'connecting') connection.reason = whyAway(reason)
  invalidate()
})

/** Why there is no connection, for pages that have not called the hub yet. */
function whyAway({ code, message }: ConnectionStateReason): string {
  const silent = ['connect_failed', 'connection_lost', 'hello_timeout', 'idle_timeout', 'token_unavailable'].includes(
    code,
  )
  return silent ? 'The hub does not answer.' : message
}

export const model = new Model(dataChanged)
model.watch(wholeClient)

/** Whether the hub is reachable. While it is not, the figures are old and actions are impossible. */
export function isThere(): boolean {
  return connection.state === 'connected' && !model.silent
}

/** Whether the hub is known to be unreachable: false while the page connects for the first time. */
export function isAway(): boolean {
  return !isThere() && (connection.state === 'connected' || connection.reason !== '')
}

/** The hub's time of the current figures, in milliseconds since 1970. It stops while the hub is unreachable. */
export function hubNow(): number {
  const now = wholeClient.admin.hub.now()
  return isThere() || model.heardAt === 0 ? now : now - (Date.now() - model.heardAt)
}
