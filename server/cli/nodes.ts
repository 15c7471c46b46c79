import type { Command } from 'commander'
import type { NodeStatus } from '../../shared/sys.ts'
import { askHub, asking, type CommandOptions, print } from './ask-hub.ts'
import { withExamples } from './examples.ts'
import { columns, count, duration, rate, size } from './table.ts'

export function nodesCommand(): Command {
  const command = asking('nodes', 'list the nodes of a hub: the hubs that serve clients together').action(
    (options: CommandOptions) =>
      askHub(options, async ({ admin: { nodes, hub } }) => {
        const status = await nodes.list()
        print(status.nodes, options, (listed, now) => table(listed, status.cutOff, now), hub.now())
      }),
  )
  return withExamples(command, ['fanfare nodes'], ['fanfare nodes --json', 'for scripts'])
}

const COLUMNS = ['name', 'node', 'version', 'address', 'running for', 'connections', 'published', 'delivered', 'CPU']

function table(nodes: readonly NodeStatus[], cutOff: boolean, now: number): string {
  const rows = nodes.map((node) => row(node, now))
  const note = cutOff ? 'this hub is cut off from the others of its cluster\n' : ''
  return columns([[...COLUMNS, 'memory', ''], ...rows]) + note
}

function row(node: NodeStatus, now: number): string[] {
  const { name, id, self, version = '', address = '', cpu, memoryBytes } = node
  return [
    name,
    id,
    version,
    address,
    shown(node.startedAt, (startedAt) => duration(now - startedAt)),
    shown(node.connections, count),
    shown(node.publishedPerSecond, rate),
    shown(node.deliveredPerSecond, rate),
    shown(cpu, (part) => `${Math.round(part * 100)}%`),
    shown(memoryBytes, size),
    self ? 'this hub' : note(node),
  ]
}

function note({ version }: NodeStatus): string {
  return version === undefined ? 'does not answer' : ''
}

function shown(figure: number | undefined, write: (figure: number) => string): string {
  return figure === undefined ? '' : write(figure)
}
