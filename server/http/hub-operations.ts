import { z } from 'zod'
import { call, type Operation } from './operation.ts'
import { Connection, Connections, Hub, Topics, WhoAmI } from './schemas.ts'

export const hubOperations: readonly Operation[] = [
  call('get', 'hub.show', Hub, { id: 'showHub', summary: 'The hub as a whole', path: '/hub' }),
  call('get', 'hub.whoami', WhoAmI, { id: 'whoAmI', summary: 'Who the token is, and what it may do', path: '/whoami' }),
  call('get', 'topics.list', Topics, { id: 'listTopics', summary: 'The busiest topics', path: '/topics' }),
  call('get', 'connections.list', Connections, {
    id: 'listConnections',
    summary: 'Connections, in the order in which they opened',
    path: '/connections',
  }),
  call('get', 'connections.show', Connection, {
    id: 'showConnection',
    summary: 'One connection',
    path: '/connections/{connection}',
    refusals: ['no_connection'],
  }),
  call('delete', 'connections.disconnect', z.object({ connection: z.string() }), {
    id: 'disconnect',
    summary: 'End a connection; its client may come back',
    path: '/connections/{connection}',
    refusals: ['no_connection'],
  }),
]
