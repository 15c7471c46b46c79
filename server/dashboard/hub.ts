import { connect, type State } from '../../client/index.ts'
import { Model } from './model.ts'
import { ownToken } from './own-token.ts'
import { dataChanged, invalidate } from './schedule.ts'

const path = document.querySelector<HTMLMetaElement>('meta[name="fanfare-path"]')?.content ?? '/'

/** The hub's WebSocket endpoint. */
export const hubUrl = new URL(path, location.href).href.replace(/^http/, 'ws')

export const client = connect(hubUrl, {
  name: 'fanfare dashboard',
  backoff: { baseMs: 200, capMs: 5000 },
  getToken: ownToken,
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
