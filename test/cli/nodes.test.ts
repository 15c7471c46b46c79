import { afterAll, beforeAll, expect, it } from 'vitest'
import { connect, type NodeStatus, type NodesStatus } from '../../client/node.ts'
import { fanfare, hubHere, serve } from '../setup/command.ts'
import { Peer } from '../setup/peer.ts'
import { RedisServer } from '../setup/redis-server.ts'

let redis: RedisServer
beforeAll(async () => {
  redis = await RedisServer.start()
})
afterAll(() => redis.stop())

async function nodes(url: string, ...args: string[]) {
  const command = fanfare(['nodes', ...args, '--url', url])
  expect(await command.exit, command.stderr).toBe(0)
  return command
}

it('fanfare nodes lists the hubs of a cluster, for people and for programs', async () => {
  const node = (name: string) => serve(['--cluster', redis.url, '--node-name', name])
  const [east, west] = await Promise.all([node('east'), node('west')])
  const client = connect(west.url)
  await client.ready()
  await expect.poll(async () => (await client.admin.nodes.list()).nodes.length).toBe(2)
  const table = (await nodes(east.url)).stdout.split('\n')
  expect(table[0]).toMatch(
    /^name +node +version +address +running for +connections +published +delivered +CPU +memory$/,
  )
  expect(table[1]).toMatch(new RegExp(`^east +\\w+ +\\S+ +127\\.0\\.0\\.1:${east.port} +.* 1 +0/s .*MiB +this hub$`))
  expect(table[2]).toMatch(new RegExp(`^west +\\w+ +\\S+ +127\\.0\\.0\\.1:${west.port} +.* 1 +0/s .*MiB$`))
  const listed = (await nodes(west.url, '--json')).lines as NodeStatus[]
  expect(listed).toMatchObject([
    { name: 'east', self: false, connections: 0 },
    { name: 'west', self: true, connections: 2 },
  ])

  east.command.signal('SIGKILL')
  await expect.poll(() => client.admin.nodes.list(), { timeout: 10_000 }).toMatchObject({ nodes: [{ name: 'west' }] })
  await client.close()
})

/** What a hub says of its cluster in its metrics. */
async function figures(port: number): Promise<string[]> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  return text.split('\n').filter((line) => /^fanfare_(nodes|cluster_(cut_off|reconnections_total)) /.test(line))
}

function cluster(cutOff: number, reconnections: number): string[] {
  return [`fanfare_cluster_cut_off ${cutOff}`, `fanfare_cluster_reconnections_total ${reconnections}`]
}

it('says where the cluster is and how it is called there when it listens, and no password', async () => {
  const own = await RedisServer.start('--requirepass', 's3cret')
  const url = own.url.replace('//', '//:s3cret@')
  const asJson = await serve(['--cluster', url, '--node-name', 'east'])
  const line = JSON.parse(asJson.command.stderr.split('\n').find((each) => each.includes('"listening"')) as string)
  expect(line).toMatchObject({ cluster: own.url, node: 'east' })
  expect(line).not.toHaveProperty('data')
  const asText = fanfare(['serve', '--port', '0', '--cluster', url, '--node-name', 'west', '--log-format', 'text'])
  await asText.said('stderr', /Press Ctrl-C/)
  expect(asText.stderr).toMatch(new RegExp(`^ +Cluster +${own.url}\n +Node +west\n`, 'm'))
  expect(asText.stderr).not.toMatch(/Data|in memory/)
  const peer = await Peer.open(asJson.url)
  peer.send({ type: 'hello' })
  expect(await peer.next('welcome')).toMatchObject({ node: 'east' })
  peer.terminate()
  for (const { stderr } of [asJson.command, asText]) expect(stderr).not.toContain('s3cret')
  await own.stop()
})

it('shows that a node is cut off from the others, and when it is back', async () => {
  const own = await RedisServer.start()
  const node = await serve(['--cluster', own.url, '--node-name', 'alone'])
  const client = connect(node.url)
  const status = (): Promise<NodesStatus> => client.admin.nodes.list()
  expect(await status()).toMatchObject({ cutOff: false, nodes: [{ name: 'alone', self: true }] })
  await own.stop()
  await expect.poll(status, { timeout: 10_000 }).toMatchObject({ cutOff: true, nodes: [{ name: 'alone' }] })
  const troubles = async () => (await client.admin.hub.attention()).entries[0]?.troubles.map(({ kind }) => kind)
  await expect.poll(troubles).toEqual(['cut-off', 'storage-failed'])
  expect(await figures(node.port)).toEqual(['fanfare_nodes 1', ...cluster(1, 0)])
  expect((await nodes(node.url)).stdout).toMatch(/\nthis hub is cut off from the others of its cluster\n$/)
  await own.start()
  await expect.poll(status, { timeout: 10_000 }).toMatchObject({ cutOff: false })
  expect(await figures(node.port)).toEqual(['fanfare_nodes 1', ...cluster(0, 1)])
  await client.close()
  await own.stop()
})

it('a hub without a cluster is its only node', async () => {
  const { url, port } = await hubHere({ nodeName: 'single' })
  const [only] = (await nodes(url, '--json')).lines
  expect(only).toMatchObject({ name: 'single', self: true, address: `127.0.0.1:${port}`, connections: 1 })
})
