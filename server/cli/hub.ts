import type { Command } from 'commander'
import type { Attention, AttentionSubject, HubInfo } from '../../shared/sys.ts'
import { askHub, asking, type CommandOptions } from './ask-hub.ts'
import { jsonLine } from './data.ts'
import { withExamples } from './examples.ts'
import { columns, count, duration, rate, size } from './table.ts'

export function hubCommand(): Command {
  const command = asking('hub', 'show the state of a hub: version, traffic, memory, and what needs attention').action(
    (options: CommandOptions) =>
      askHub(options, async ({ admin: { hub } }) => {
        const [info, attention] = await Promise.all([hub.show(), hub.attention()])
        const text = options.json ? `${jsonLine({ ...info, attention })}\n` : hubDetails(info, attention, hub.now())
        process.stdout.write(text)
      }),
  )
  return withExamples(command, ['fanfare hub'], ['fanfare hub --json', 'for scripts'])
}

/** A hub's state as text: one line per property, then what needs attention. */
export function hubDetails(hub: HubInfo, { entries, problems, warnings }: Attention, now: number): string {
  const dropped = Object.entries(hub.droppedTotal).filter(([, total]) => total > 0)
  const table = columns([
    ['version', hub.version],
    ['engine', hub.engine],
    ['running for', duration(now - hub.startedAt)],
    ...(hub.nodes > 1 ? [['nodes', count(hub.nodes)]] : []),
    ['connections', count(hub.connections)],
    ['subscriptions', count(hub.subscriptions)],
    ['topics', count(hub.topics)],
    ['streams', count(hub.streams)],
    ['queues', count(hub.queues)],
    ['published', `${rate(hub.publishedPerSecond)}, ${count(hub.publishedTotal)} since the hub started`],
    ['delivered', `${rate(hub.deliveredPerSecond)}, ${count(hub.deliveredTotal)} since the hub started`],
    ['dropped', `${rate(hub.droppedPerSecond)}${dropped.map(([why, total]) => `, ${count(total)} ${why}`).join('')}`],
    ['outboxes', `${size(hub.outboxBytes)} of ${size(hub.outboxTotalBytes)}`],
    ['memory', size(hub.memoryBytes)],
    ['CPU', `${Math.round(hub.cpu * 100)}% of one core`],
    ['event loop', `${duration(hub.eventLoopDelayMs)} late`],
  ])
  const found = entries.flatMap(({ about, troubles }) =>
    troubles.map(({ level, text }) => [level, nameOf(about), text]),
  )
  const more = problems + warnings - entries.length
  return `${table}${found.length > 0 ? `\n${columns(found)}` : ''}${more > 0 ? `${count(more)} more need attention\n` : ''}`
}

function nameOf(about: AttentionSubject): string {
  if (about.kind === 'hub') return 'hub'
  if (about.kind === 'queue') return `queue ${about.name}`
  return `connection ${about.client ?? about.connection}`
}
