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
  call('get', 'hub.show', Hub, { id: 'showHub', summary: 'Show the state of the hub', path: '/hub' }),
  call('get', 'hub.whoami', WhoAmI, {
    id: 'whoAmI',
    summary: 'Show the identity and permissions of the token',
    path: '/whoami',
  }),
  call('get', 'hub.attention', Attention, {
    id: 'showAttention',
    summary: 'List what needs attention, the worst first',
    path: '/hub/attention',
  }),
  call('get', 'hub.history', History, {
    id: 'showHistory',
    summary: 'Show the history of the figures of the hub, a queue or a stream',
    path: '/hub/history',
    refusals: ['no_queue', 'no_stream'],
  }),
  call('get', 'nodes.list', Nodes, { id: 'listNodes', summary: 'List the nodes of the hub', path: '/nodes' }),
  call('get', 'topics.find', TopicsFound, {
    id: 'findTopics',
    summary: 'Find topics, the busiest first',
    path: '/find/topics',
  }),
  call('get', 'connections.find', ConnectionsFound, {
    id: 'findConnections',
    summary: 'Find connections, those with problems first',
    path: '/find/connections',
  }),
  call('get', 'connections.recent', Ended, {
    id: 'listEndedConnections',
    summary: 'List the connections that ended most recently, the latest first',
    path: '/ended-connections',
  }),
  call('get', 'topics.list', Topics, { id: 'listTopics', summary: 'List the busiest topics', path: '/topics' }),
  call('get', 'connections.list', Connections, {
    id: 'listConnections',
    summary: 'List connections in the order in which they opened',
    path: '/connections',
  }),
  call('get', 'connections.show', Connection, {
    id: 'showConnection',
    summary: 'Show a connection that is open or ended recently',
    path: '/connections/{connection}',
    refusals: ['no_connection'],
  }),
  call('delete', 'connections.disconnect', z.object({ connection: z.string() }), {
    id: 'disconnect',
    summary: 'End a connection; its client may reconnect',
    path: '/connections/{connection}',
    refusals: ['no_connection'],
  }),
]
