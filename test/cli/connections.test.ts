import { expect, it } from 'vitest'
import { type ConnectionInfo, connect } from '../../client/node.ts'
import { fanfare, hubHere, type RunningCommand } from '../setup/command.ts'
import { Peer } from '../setup/peer.ts'

it('fanfare connections lists, shows and ends them, for people and for programs', async () => {
  const { url } = await hubHere()
  const env = { FANFARE_URL: url }
  const run = async (...args: string[]): Promise<RunningCommand> => {
    const command = fanfare(['connections', ...args], env)
    expect(await command.exit, command.stderr).toBe(0)
    return command
  }
  const peer = await Peer.open(url)
  peer.send({ type: 'hello', client: 'a page' })
  const { connection } = await peer.next('welcome')
  await peer.subscribe(1, 'photos.#', { policy: 'conflate' })

  const table = (await run()).stdout.split('\n')
  expect(table[0]).toMatch(/^number +connection +client +address +open for +outbox +lag +delivered +dropped +/)
  expect(table[1]).toMatch(new RegExp(`^1 +${connection} +a page +\\S+ +\\S+.* 0 bytes of 1 MiB +0 +0 +0 +1 +0$`))
  expect((await run('list', '--limit', '1')).stdout).toMatch(/^1 more: see --from and --limit$/m)
  const [listed] = (await run('list', '--from', '1', '--limit', '1', '--json')).lines as ConnectionInfo[]
  expect(listed).toMatchObject({ connection, client: 'a page', subscriptionCount: 1 })
  expect((await run('show', connection)).stdout).toMatch(/^subscription +photos\.#, conflate$/m)

  await run('disconnect', connection)
  expect((await peer.closed).code).toBe(4004)
  const refused = fanfare(['connections', 'disconnect', connection], env)
  expect(await refused.exit).toBe(1)
  expect(refused.stderr).toMatch(/^fanfare: no_connection: /)
})

it('ids that the hub makes are taken by commands as they are: none begins like an option', async () => {
  const { url } = await hubHere({ streams: [{ name: 'log', topics: ['log'] }] })
  const client = connect(url)
  const others = Array.from({ length: 100 }, () => connect(url))
  await Promise.all(others.map((other) => other.ready()))
  const { id, positions } = await client.publish('log', 1)
  const ids = (await client.admin.connections.list({ limit: 200 })).connections.map((each) => each.connection)
  expect(ids.length).toBe(101)
  for (const each of [...ids, id, positions?.['log']?.epoch]) expect(each).toMatch(/^[0-9A-Za-z]/)
  await Promise.all([client, ...others].map((each) => each.close()))
})

it('says for how long by the time of the hub, whatever the clock of the command says', async () => {
  const { url } = await hubHere({ streams: [{ name: 'log', topics: ['log'] }], queues: [{ name: 'jobs' }] })
  const client = connect(url, { name: 'watched' })
  await client.publish('log', 1)
  await client.enqueue('jobs', 1)
  const rejected = new Promise<void>((resolve) => {
    client.consume('jobs', (delivery) => delivery.reject('no').then(resolve))
  })
  await rejected
  const yearAhead = 'data:text/javascript,const now = Date.now; Date.now = () => now() + 365 * 86400000'
  const asked = async (...args: string[]) => {
    const command = fanfare([...args, '--url', url], { NODE_OPTIONS: `--import="${yearAhead}"` })
    expect(await command.exit, command.stderr).toBe(0)
    return command.stdout
  }
  const { connections } = await client.admin.connections.list()
  const { connection } = connections[0] as ConnectionInfo
  const [list, one, streams, stream, letters] = await Promise.all([
    asked('connections'),
    asked('connections', 'show', connection),
    asked('streams'),
    asked('streams', 'show', 'log'),
    asked('queues', 'dead-letters', 'list', 'jobs'),
  ])
  for (const text of [list, one, streams, stream, letters]) expect(text).not.toMatch(/(^|\s)(365d|52w|5[12]w)/)
  expect(list).toMatch(/watched +127\.0\.0\.1 +\d+(ms|s|m)/)
  expect(stream).toMatch(/Z, \d+(ms|s|m).* ago/)
  expect(letters).toMatch(/ \d+(ms|s|m).* ago +rejected/)
  await client.close()
})
