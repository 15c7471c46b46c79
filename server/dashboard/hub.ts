import { connect, type State } from '../../client/index.ts'
import { Model } from './model.ts'
import { ownToken } from './own-token.ts'
import { dataChanged, invalidate } from './schedule.ts'

const path = document.querySelector<HTMLMetaElement>('meta[name="fanfare-path"]')?.content ?? '/'

/** The hub's WebSocket endpoint, relative to the page: a proxy may serve both below a path of its own. */
export const hubUrl = new URL(`.${path}`, document.baseURI).href.replace(/^http/, 'ws')

/** Where the page gets the token that its browser asked for. */
export const tokenUrl = new URL('token', document.baseURI).href

export const client = connect(hubUrl, {
  name: 'fanfare dashboard',
  backoff: { baseMs: 200, capMs: 5000 },
  getToken: () => ownToken(tokenUrl),
})

/** Where the connection stands, and the hub's last word on why it was lost. */
export const connection: { state: State; reason: string } = { state: client.state, reason: '' }

client.onState(({ to, reason }) => {
  connection.state = to
  if (to === 'connected') connection.reason = ''
  else if (to !== 'connecting') connection.reason = reason.message
  invalidate()
})

export const model = new Model(dataChanged)
model.watch(client)
