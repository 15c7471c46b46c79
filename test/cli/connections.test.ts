import { expect, it } from 'vitest'
import type { ConnectionInfo } from '../../client/node.ts'
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
