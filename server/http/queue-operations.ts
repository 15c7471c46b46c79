import { z } from 'zod'
import type { QueueInfo } from '../../shared/queues.ts'
import { call, callerOf, json, type Operation, pathParams, STORING } from './operation.ts'
import { Count, Letter, LetterCount, Named, Queue, QueuesFound } from './schemas.ts'

export const queueOperations: readonly Operation[] = [
  call('get', 'queues.list', z.array(Queue), { id: 'listQueues', summary: 'List all queues', path: '/queues' }),
  call('get', 'queues.find', QueuesFound, {
    id: 'findQueues',
    summary: 'Find queues, those with problems first',
    path: '/find/queues',
  }),
  call('post', 'queues.declare', Queue, {
    id: 'declareQueue',
    summary: 'Declare a queue; succeeds if it exists with the same options',
    path: '/queues',
    status: 201,
    refusals: ['queue_exists', ...STORING],
  }),
  call('post', 'queues.update', Queue, {
    id: 'updateQueue',
    summary: 'Change options of a queue; the others, and its messages, stay',
    path: '/queues/{name}/update',
    refusals: ['no_queue', ...STORING],
  }),
  call('get', 'queues.show', Queue, {
    id: 'showQueue',
    summary: 'Show a queue',
    path: '/queues/{name}',
    refusals: ['no_queue'],
  }),
  call('delete', 'queues.delete', Named, {
    id: 'deleteQueue',
    summary: 'Delete a queue with its messages and dead letters',
    path: '/queues/{name}',
    refusals: ['no_queue', ...STORING],
  }),
  call('post', 'queues.purge', Count, {
    id: 'purgeQueue',
    summary: 'Delete the waiting messages; unacked messages and dead letters are kept',
    path: '/queues/{name}/purge',
    refusals: ['no_queue', ...STORING],
  }),
  call('post', 'queues.unpark', Named.extend({ key: z.string() }), {
    id: 'unparkGroup',
    summary: 'Resume a parked group',
    path: '/queues/{name}/unpark',
    refusals: ['no_queue', 'no_parked_group', ...STORING],
  }),
  {
    id: 'wantedConsumers',
    summary:
      "Number of consumers needed to keep up and to clear the ready messages in ten seconds, for scalers such as KEDA's metrics-api",
    method: 'get',
    path: '/queues/{name}/wanted-consumers',
    params: pathParams('name'),
    rest: 'query',
    answers: [
      {
        status: 200,
        description: 'Done',
        type: 'application/json',
        schema: z.object({ queue: z.string(), wantedConsumers: z.int() }),
      },
    ],
    refusals: ['no_queue'],
    async run(exchange) {
      const shown = await exchange.hub.call('queues.show', exchange.params, callerOf(exchange))
      const { name, wantedConsumers } = shown as QueueInfo
      return json(200, { queue: name, wantedConsumers })
    },
  },
  call('get', 'deadLetters.list', z.array(Letter), {
    id: 'listDeadLetters',
    summary: 'List the dead letters of a queue, by number',
    path: '/queues/{name}/dead-letters',
    refusals: ['no_queue', 'bad_pattern'],
  }),
  call('get', 'deadLetters.count', LetterCount, {
    id: 'countDeadLetters',
    summary: 'Count the dead letters of a queue that match a filter, by default all',
    path: '/queues/{name}/dead-letters/count',
    refusals: ['no_queue', 'bad_pattern'],
  }),
  call('post', 'deadLetters.redrive', Count, {
    id: 'redriveDeadLetters',
    summary: 'Move dead letters to a queue, by default the original one; answers once all have been moved',
    path: '/queues/{name}/dead-letters/redrive',
    refusals: ['no_queue', 'bad_pattern', 'queue_limit', ...STORING],
  }),
  call('post', 'deadLetters.purge', Count, {
    id: 'purgeDeadLetters',
    summary: 'Delete dead letters, by default all of them',
    path: '/queues/{name}/dead-letters/purge',
    refusals: ['no_queue', 'bad_pattern', ...STORING],
  }),
]
