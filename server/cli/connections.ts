import { Command } from 'commander'
import type { ConnectionInfo } from '../../shared/sys.ts'
import { askHub, asking, type CommandOptions, print } from './ask-hub.ts'
import { wholeNumber } from './connection-options.ts'
import { columns, count, duration, size } from './table.ts'

interface PageOptions extends CommandOptions {
  readonly from?: number
  readonly limit?: number
}

export function connectionsCommand(): Command {
  const command = new Command('connections').description('look at the connections of a hub, and end them')
  command.addCommand(
    asking('list', 'the open connections in a table')
      .option('--from <number>', 'the first one wanted', wholeNumber('from', 0))
      .option('--limit <n>', 'so many at most, 1,000 or less', wholeNumber('limit', 1))
      .action(({ from, limit, ...options }: PageOptions) =>
        askHub(options, async (client) => {
          const page = { ...(from !== undefined && { from }), ...(limit !== undefined && { limit }) }
          const { count: open, connections } = await client.admin.connections.list(page)
          print(connections, options, (listed, now) => table(listed, open, now), client.admin.hub.now())
        }),
      ),
    { isDefault: true },
  )
  const one = (name: string, text: string) => asking(name, text).argument('<connection>', 'its id')
  command.addCommand(
    one('show', 'everything about one connection, its subscriptions too').action(
      (connection: string, options: CommandOptions) =>
        askHub(options, async ({ admin: { connections, hub } }) =>
          print([await connections.show(connection)], options, details, hub.now()),
        ),
    ),
  )
  return command.addCommand(
    one('disconnect', 'end it; its client connects again after a wait').action(
      (connection: string, options: CommandOptions) =>
        askHub(options, ({ admin: { connections } }) => connections.disconnect(connection)),
    ),
  )
}

const COLUMNS = [
  'number',
  'connection',
  'client',
  'address',
  'open for',
  'outbox',
  'lag',
  'delivered',
  'dropped',
  'published',
  'subscriptions',
  'consumers',
]

function table(connections: readonly ConnectionInfo[], open: number, now: number): string {
  const rows = connections.map((each) => [
    String(each.number),
    each.connection,
    each.client ?? '',
    each.address,
    duration(now - each.connectedAt),
    outbox(each),
    lag(each),
    count(each.deliveredTotal),
    count(each.droppedTotal),
    count(each.publishedTotal),
    count(each.subscriptionCount),
    count(each.consumerCount),
  ])
  const rest = open - connections.length
  return columns([COLUMNS, ...rows]) + (rest > 0 ? `${count(rest)} more: see --from and --limit\n` : '')
}

function details(connections: readonly ConnectionInfo[], now: number): string {
  return connections.map((each) => detailsOf(each, now)).join('\n')
}

function detailsOf(each: ConnectionInfo, now: number): string {
  return columns([
    ['connection', each.connection],
    ['number', String(each.number)],
    ['client', each.client ?? ''],
    ['address', each.address],
    ['open for', duration(now - each.connectedAt)],
    ['outbox', outbox(each)],
    ['lag', lag(each)],
    ['delivered', count(each.deliveredTotal)],
    ['dropped', count(each.droppedTotal)],
    ['published', count(each.publishedTotal)],
    ...each.subscriptions.map(({ pattern, policy, stream, paused, behind, droppedTotal }) => [
      'subscription',
      [
        `${pattern}, ${policy}`,
        ...(stream === undefined ? [] : [`stream ${stream}`]),
        ...(paused ? ['paused'] : []),
        ...(behind ? ['behind'] : []),
        ...(droppedTotal > 0 ? [`${count(droppedTotal)} dropped`] : []),
      ].join(', '),
    ]),
    ...each.consumers.map(({ queue, inFlight, prefetch }) => ['consumer', `${queue}, ${inFlight} of ${prefetch}`]),
  ])
}

function outbox({ outboxBytes, outboxLimitBytes }: ConnectionInfo): string {
  return `${size(outboxBytes)} of ${size(outboxLimitBytes)}`
}

function lag({ lagMs }: ConnectionInfo): string {
  return lagMs === 0 ? '' : duration(lagMs)
}
