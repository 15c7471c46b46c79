import type { CursorInfo, StreamInfo, StreamOptions } from '../../shared/streams.ts'
import { ago, at, columns, count, duration, size } from './table.ts'

/** What can be changed of a stream. */
export const STREAM_OPTIONS = [
  'topics',
  'maxAgeMs',
  'maxBytes',
  'maxMessages',
  'lastValue',
  'durability',
] as const satisfies readonly (keyof StreamOptions)[]

const COLUMNS = [
  'name',
  'topics',
  'messages',
  'offsets',
  'size',
  'oldest',
  'newest',
  'retention',
  'durability',
  'cursors',
]

/** Streams as a table for people. */
export function streamTable(streams: readonly StreamInfo[], now: number): string {
  const rows = streams.map((stream) => [
    stream.name,
    stream.topics.join(' '),
    count(stream.messages),
    offsets(stream),
    size(stream.bytes),
    ago(stream.oldestAt, now),
    ago(stream.newestAt, now),
    duration(stream.maxAgeMs),
    stream.durability,
    String(stream.cursorCount),
  ])
  return columns([COLUMNS, ...rows])
}

/** One stream as text: one line per property and cursor. */
export function streamDetails(stream: StreamInfo, now: number): string {
  const { maxAgeMs, maxBytes, maxMessages, cursors, cursorCount, next } = stream
  const hidden = cursorCount - Object.keys(cursors).length
  const lines = [
    ['name', stream.name],
    ['topics', stream.topics.join(' ')],
    ['messages', count(stream.messages)],
    ['offsets', offsets(stream)],
    ['epoch', stream.epoch],
    ['size', size(stream.bytes)],
    ['oldest', at(stream.oldestAt, now)],
    ['newest', at(stream.newestAt, now)],
    [
      'retention',
      [duration(maxAgeMs), size(maxBytes), ...(maxMessages ? [`${count(maxMessages)} messages`] : [])].join(', '),
    ],
    ['values', stream.lastValue ? 'the newest of each topic and key' : 'all'],
    ['durability', stream.durability],
    ...Object.entries(cursors).map(([name, { offset }]) => [
      'cursor',
      `${name} at ${count(offset)}, ${count(Math.max(0, next - offset))} behind`,
    ]),
    ...(hidden > 0 ? [['cursors', `${count(hidden)} more: fanfare streams cursors ${stream.name}`]] : []),
  ]
  return columns(lines)
}

/** Cursors as a table for people. */
export function cursorTable(cursors: readonly CursorInfo[], now: number): string {
  const rows = cursors.map(({ name, offset, epoch, usedAt }) => [name, count(offset), epoch, ago(usedAt, now)])
  return columns([['cursor', 'offset', 'epoch', 'used'], ...rows])
}

function offsets({ first, next }: StreamInfo): string {
  return next > first ? `${count(first)} to ${count(next - 1)}` : `none, next ${count(next)}`
}
