import { z } from 'zod'
import { call, type Operation, STORING } from './operation.ts'
import { CursorNamed, Cursors, Named, Page, Stream, StreamsFound } from './schemas.ts'

export const streamOperations: readonly Operation[] = [
  call('get', 'streams.list', z.array(Stream), { id: 'listStreams', summary: 'List all streams', path: '/streams' }),
  call('get', 'streams.find', StreamsFound, {
    id: 'findStreams',
    summary: 'Find streams',
    path: '/find/streams',
  }),
  call('post', 'streams.declare', Stream, {
    id: 'declareStream',
    summary: 'Declare a stream; succeeds if it exists with the same options',
    path: '/streams',
    status: 201,
    refusals: ['stream_exists', ...STORING],
  }),
  call('post', 'streams.update', Stream, {
    id: 'updateStream',
    summary: 'Change options of a stream; the others stay',
    path: '/streams/{name}/update',
    refusals: ['no_stream', ...STORING],
  }),
  call('get', 'streams.show', Stream, {
    id: 'showStream',
    summary: 'Show a stream',
    path: '/streams/{name}',
    refusals: ['no_stream'],
  }),
  call('delete', 'streams.delete', Named, {
    id: 'deleteStream',
    summary: 'Delete a stream with its messages and cursors',
    path: '/streams/{name}',
    refusals: ['no_stream', ...STORING],
  }),
  call('post', 'streams.trim', Stream, {
    id: 'trimStream',
    summary: 'Delete the messages before an offset, by default all of them',
    path: '/streams/{name}/trim',
    refusals: ['no_stream', ...STORING],
  }),
  call('get', 'streams.read', Page, {
    id: 'readStream',
    summary: 'Read a page of messages from an offset on, by default from the oldest',
    path: '/streams/{name}/messages',
    refusals: ['no_stream', 'data_damaged'],
  }),
  call('get', 'cursors.list', Cursors, {
    id: 'listCursors',
    summary: 'List the cursors of a stream in the order of their names, after the name given as after',
    path: '/streams/{name}/cursors',
    refusals: ['no_stream'],
  }),
  call('delete', 'cursors.delete', CursorNamed, {
    id: 'deleteCursor',
    summary: 'Delete a cursor; the next subscription with its name starts at its from',
    path: '/streams/{name}/cursors/{cursor}',
    refusals: ['no_stream', 'no_cursor', ...STORING],
  }),
]
