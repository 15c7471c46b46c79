import { Command } from 'commander'
import { type ConnectionInfo, hubName } from '../../shared/sys.ts'
import { askHub, asking, type CommandOptions, noteMissing, print, report } from './ask-hub.ts'
import { integer } from './connection-options.ts'
import { withExamples } from './examples.ts'
import { columns, count, duration, size } from './table.ts'

interface PageOptions extends CommandOptions {
  readonly from?: number
  readonly limit?: number
}

export function connectionsCommand(): Command {
  const command = new Command('connections').description('list, inspect and end connections')
  command.addCommand(
    withExamples(
      asking('list', 'list the open connections, oldest first')
        .option('--from <number>', 'number of the first connection to list', integer('--from', 0))
        .option(
          '--limit <n>',
          'maximum number of connections to list, up to 1000 (default: 100)',
          integer('--limit', 1),
        )
        .action(list),
      ['fanfare connections'],
      ['fanfare connections list --from 100 --limit 100', 'the next page'],
    ),
    { isDefault: true },
  )
  const one = (name: string, text: string) =>
    asking(name, text).argument('<connection>', 'id of the connection, as "fanfare connections" lists it')
  command.addCommand(
    withExamples(one('show', 'show one connection with its subscriptions and consumers').action(show), [
      'fanfare connections show 2fJ8xQv0',
    ]),
  )
  command.addCommand(
    withExamples(one('disconnect', 'end a connection; its client reconnects after a while').action(disconnect), [
      'fanfare connections disconnect 2fJ8xQv0',
    ]),
  )
  return withExamples(command, ['fanfare connections'], ['fanfare connections show 2fJ8xQv0'])
}

function list({ from, limit, ...options }: PageOptions): Promise<void> {
  return askHub(options, async (client) => {
    const page = { ...(from !== undefined && { from }), ...(limit !== undefined && { limit }) }
    const { connections: admin, hub } = client.admin
    const [{ count: open, connections, ...coverage }, { nodes }] = await Promise.all([admin.list(page), hub.show()])
    print(connections, options, (listed, now) => table(listed, { open, nodes }, now), hub.now())
    noteMissing(coverage)
  })
}

function show(connection: string, options: CommandOptions): Promise<void> {
  return askHub(options, async ({ admin: { connections, hub } }) =>
    print([await connections.show(connection)], options, details, hub.now()),
  )
}

function disconnect(connection: string, options: CommandOptions): Promise<void> {
  return askHub(options, async ({ admin: { connections } }) => {
    await connections.disconnect(connection)
    report({ connection }, options, `Disconnected ${connection}.`)
  })
}

/** With the hub of each if there are several, and the subject if any has one. */
function table(
  connections: readonly ConnectionInfo[],
  { open, nodes }: { readonly open: number; readonly nodes: number },
  now: number,
): string {
  const known = connections.some(({ subject }) => subject !== undefined)
  const rows = connections.map((each) => [
    String(each.number),
    each.connection,
    each.client ?? '',
    ...(known ? [each.subject ?? ''] : []),
    each.address,
    ...(nodes > 1 ? [hubName(each.node)] : []),
    duration(now - each.connectedAt),
    outbox(each),
    lag(each),
    count(each.deliveredTotal),
    count(each.droppedTotal),
    count(each.publishedTotal),
    count(each.subscriptionCount),
    count(each.consumerCount),
  ])
  const head = [
    ...['number', 'connection', 'client', ...(known ? ['subject'] : []), 'address', ...(nodes > 1 ? ['hub'] : [])],
    ...['open for', 'outbox', 'lag', 'delivered', 'dropped', 'published', 'subscriptions', 'consumers'],
  ]
  const rest = open - connections.length
  return columns([head, ...rows]) + (rest > 0 ? `${count(rest)} more: see --from and --limit\n` : '')
}

function details(connections: readonly ConnectionInfo[], now: number): string {
  return connections.map((each) => detailsOf(each, now)).join('\n')
}

function detailsOf(each: ConnectionInfo, now: number): string {
  return columns([
    ['connection', each.connection],
    ['number', String(each.number)],
    ['client', each.client ?? ''],
    ...(each.subject === undefined ? [] : [['subject', each.subject]]),
    ['address', each.address],
    ['hub', hubName(each.node)],
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
