import { z } from 'zod'
import { call, type Operation } from './operation.ts'
import {
  Attention,
  Connection,
  Connections,
  ConnectionsFound,
  Ended,
  History,
  Hub,
  Nodes,
  Topics,
  TopicsFound,
  WhoAmI,
} from './schemas.ts'

export const hubOperations: readonly Operation[] = [
  call('get', 'hub.show', Hub, { id: 'showHub', summary: 'The hub as a whole', path: '/hub' }),
  call('get', 'hub.whoami', WhoAmI, { id: 'whoAmI', summary: 'Who the token is, and what it may do', path: '/whoami' }),
  call('get', 'hub.attention', Attention, {
    id: 'showAttention',
    summary: 'What needs attention, the worst first',
    path: '/hub/attention',
  }),
  call('get', 'hub.history', History, {
    id: 'showHistory',
    summary: 'What the hub remembers of its own figures, or of those of a queue or a stream',
    path: '/hub/history',
    refusals: ['no_queue', 'no_stream'],
  }),
  call('get', 'nodes.list', Nodes, { id: 'listNodes', summary: 'The nodes of the hub', path: '/nodes' }),
  call('get', 'topics.find', TopicsFound, {
    id: 'findTopics',
    summary: 'Topics that a filter finds, the busiest first',
    path: '/find/topics',
  }),
  call('get', 'connections.find', ConnectionsFound, {
    id: 'findConnections',
    summary: 'Connections that a filter finds, those in trouble first',
    path: '/find/connections',
  }),
  call('get', 'connections.recent', Ended, {
    id: 'listEndedConnections',
    summary: 'The last connections that have ended, the latest first',
    path: '/ended-connections',
  }),
  call('get', 'topics.list', Topics, { id: 'listTopics', summary: 'The busiest topics', path: '/topics' }),
  call('get', 'connections.list', Connections, {
    id: 'listConnections',
    summary: 'Connections, in the order in which they opened',
    path: '/connections',
  }),
  call('get', 'connections.show', Connection, {
    id: 'showConnection',
    summary: 'One connection that is open, or has ended lately',
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
