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

/** The hub's WebSocket endpoint, relative to the page: a proxy may serve both below a path of its own. */
export const hubUrl = new URL(`.${path}`, document.baseURI).href.replace(/^http/, 'ws')

/** Where the page gets the token that its browser keeps. */
export const tokenUrl = new URL('token', document.baseURI).href

/** Where the connection stands, and why it was lost. */
export const connection: {
  state: ConnectionState
  reason: string
  /** The token that this page was opened with is worth nothing any longer: it has to be opened with another one. */
  loggedOut: boolean
} = { state: 'connecting', reason: '', loggedOut: false }

/** For `acts.ts` alone: whatever changes something goes through it. */
export const wholeClient: Client = connect(hubUrl, {
  name: 'fanfare dashboard',
  backoff: { base: 200, cap: 5000 },
  getToken: token,
})

/** What pages read with. What they do to the hub goes through `act`. */
export const client: Pick<Client, 'call' | 'state' | 'onState'> & {
  readonly admin: { readonly queues: { readonly deadLetters: Pick<DeadLetterAdmin, 'list' | 'count'> } }
} = wholeClient

let hadToken = false

async function token(): Promise<string | undefined> {
  try {
    const token = await ownToken(tokenUrl)
    // Or this page would go on as anybody, and its user would not know.
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

/** Why there is no connection, for pages that have asked the hub for nothing yet. */
function whyAway({ code, message }: ConnectionStateReason): string {
  const silent = ['connect_failed', 'connection_lost', 'hello_timeout', 'idle_timeout', 'token_unavailable'].includes(
    code,
  )
  return silent ? 'The hub does not answer.' : message
}

export const model = new Model(dataChanged)
model.watch(wholeClient)

/** Whether the hub is there. While it is not, figures are old, and nothing can be done. */
export function isThere(): boolean {
  return connection.state === 'connected' && !model.silent
}

/** Whether it is known that the hub is not there: not while the page connects at first. */
export function isAway(): boolean {
  return !isThere() && (connection.state === 'connected' || connection.reason !== '')
}

/** The hub's time for which the figures are, in milliseconds since 1970: it stands still while the hub is away. */
export function hubNow(): number {
  const now = wholeClient.admin.hub.now()
  return isThere() || model.heardAt === 0 ? now : now - (Date.now() - model.heardAt)
}
