import { fileURLToPath } from 'node:url'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { type Client, connect, type QueueInfo } from '../../client/node.ts'
import { fanfare, hubHere, type RunningCommand } from '../setup/command.ts'
import { freePort } from '../setup/free-port.ts'

const WORKER = fileURLToPath(new URL('worker.js', import.meta.url))

let url: string
let client: Client
beforeEach(async () => {
  url = (await hubHere()).url
  client = connect(url)
  await client.admin.queues.declare({ name: 'jobs' })
  onTestFinished(async () => void (await client.close()))
})

function work(options: readonly string[], command = ['node', WORKER]): RunningCommand {
  return fanfare(['work', '--url', url, '--queue', 'jobs', '--cooldown', '100ms', ...options, '--', ...command])
}

/** Asks only it to stop, and not its workers; resolves to its exit code. */
function stopped(command: RunningCommand): Promise<number | string> {
  command.process.kill('SIGTERM')
  return command.exit
}

/** Resolves when this many consume. */
async function consumers(count: number): Promise<void> {
  for await (const { data } of client.subscribe('$sys.queues.jobs')) {
    if ((data as QueueInfo).consumers === count) return
  }
}

const pids = ({ stdout }: RunningCommand, said: string) =>
  [...stdout.matchAll(new RegExp(`^(\\d+) ${said}`, 'gm'))].map(([, pid]) => pid)

describe('fanfare work', () => {
  it('starts more workers as a backlog grows, up to the most, and stops them when it is done', async () => {
    const command = work(['--min', '1', '--max', '4'])
    expect((await command.said('stdout', /\d+ works on (.*)/))[1]).toBe(`jobs at ${url}`)
    for (let n = 0; n < 20; n++) await client.enqueue('jobs', 'hold')
    await consumers(4)
    await client.publish('released', null)
    await consumers(1)
    expect(pids(command, 'did hold')).toHaveLength(20)
    expect(pids(command, 'works')).toHaveLength(4)
    expect(command.stderr).toMatch(/^3 → 4 workers: \d+ ready\.$/m)
    await command.said('stdout', /(has stopped[\s\S]*){3}/)
    expect(await stopped(command)).toBe(0)
    expect(pids(command, 'has stopped').toSorted()).toEqual(pids(command, 'works').toSorted())
  })

  it('puts another in the place of a worker that crashes, and its message comes again', async () => {
    const command = work(['--min', '1', '--max', '1'])
    await client.enqueue('jobs', 'crash')
    await command.said('stderr', /^A worker ended: exit code 3\.$/m)
    const [, successor] = await command.said('stdout', /(\d+) did crash/)
    expect(pids(command, 'works').at(-1)).toBe(successor)
    expect(pids(command, 'works')).toHaveLength(2)
  })

  it('needs the queue', async () => {
    await client.admin.queues.delete('jobs')
    const command = work([])
    expect(await command.exit).toBe(1)
    expect(command.stderr).toMatch(/^fanfare: no_queue: There is no queue "jobs"\. .*\n$/)
  })

  it('gives up with an error if the command cannot be run', async () => {
    const command = work([], ['./no-such-worker'])
    expect(await command.exit).toBe(1)
    expect(command.stderr).toMatch(
      /\nfanfare: The worker command "\.\/no-such-worker" cannot be run: spawn \.\/no-such-worker ENOENT\.\n$/,
    )
  })

  it('waits for a hub, and stops when asked to meanwhile', async () => {
    const nobody = `ws://127.0.0.1:${await freePort()}`
    const command = work(['--url', nobody])
    await command.said('stderr', /Not connected to/)
    expect(await stopped(command)).toBe(0)
    expect(command.stderr.trim().split('\n')).toEqual([
      expect.stringContaining(`Not connected to ${nobody}, retrying. `),
    ])
  })

  it('refuses fewest workers that are more than the most', async () => {
    const command = work(['--min', '5', '--max', '4'])
    expect(await command.exit).toBe(2)
    expect(command.stderr).toBe('fanfare: --min must not exceed --max (got 5 and 4).\n')
  })
})
