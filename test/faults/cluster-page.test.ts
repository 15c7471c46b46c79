import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { type Client, connect, type NodesStatus } from '../../client/node.ts'
import { durableRedis, redisOf } from '../setup/cluster.ts'
import { fanfare, RunningCommand, serve, shell } from '../setup/command.ts'
import { freePort } from '../setup/free-port.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const page = (name: string) => readFileSync(join(ROOT, 'docs/operations', name), 'utf8')

/** The way from nothing to three hubs. What a test cannot do is done by hand: installing packages, and systemd. */
const [COMMANDS = ''] = /(?<=```console\n)apt-get install[\s\S]*?(?=```)/.exec(page('cluster.md')) ?? []
const hasNginx = which('nginx')

it('the commands of the page are at most ten, and name what is there', () => {
  const lines = COMMANDS.trim().split('\n')
  expect(lines.length).toBeLessThanOrEqual(10)
  for (const [, file] of COMMANDS.matchAll(/^cp (\S+)/gm)) expect(page(file as string)).not.toBe('')
  expect(COMMANDS).toContain('/opt/fanfare')
  expect(page('fanfare@.service')).toContain('/opt/fanfare/node_modules/fanfare/dist/server/main.js')
})

it('three hubs start on one machine with the commands of the page, and share a stream', async () => {
  const folder = folderOf()
  const npx = `#!/bin/sh\nshift\nexec '${process.execPath}' '${join(ROOT, 'dist/server/main.js')}' "$@"\n`
  writeFileSync(join(folder, 'npx'), npx, { mode: 0o755 })
  const ports = new Map<string, number>()
  for (const port of ['6400', '4747', '4748', '4749']) ports.set(port, await freePort())
  const here = (text: string) => text.replace(/\b(6400|474[789])\b/g, (port) => String(ports.get(port)))
  const env = { PATH: `${folder}:${process.env['PATH']}`, FANFARE_URL: here('ws://127.0.0.1:4747') }
  const [start = '', use = ''] = blocksOf('Three hubs on your own machine')
  const hubs = shell(`${here(start).replace(/^npm install .*$/m, '')}wait`, env, folder)
  await hubs.said('stderr', /(?:"msg":"listening"[\s\S]*?){3}/)
  const output = []
  for (const line of here(use).trim().split('\n')) {
    const command = shell(line, env, folder)
    expect([await command.exit, command.stderr]).toEqual([0, expect.not.stringMatching('fanfare:')])
    output.push(command.stdout)
  }
  const [nodes, , , message] = output
  for (const name of ['one', 'two', 'three']) expect(nodes).toMatch(new RegExp(`^${name} `, 'm'))
  expect(JSON.parse(message as string)).toMatchObject({ topic: 'notes.a', data: 'hello' })
})

it.runIf(which('systemd-analyze'))('systemd finds nothing wrong with the unit', () => {
  const folder = folderOf()
  const node = page('fanfare@.service').replace('/usr/bin/node', process.execPath)
  writeFileSync(join(folder, 'fanfare@.service'), node)
  expect(execFileSync('systemd-analyze', ['verify', join(folder, 'fanfare@.service')], { encoding: 'utf8' })).toBe('')
})

// Without nginx, the hubs are asked themselves.
it('three hubs with the configuration and the unit of the page serve clients, behind nginx if it is installed', async () => {
  const redis = await redisOf('--dir', folderOf())
  const ports = new Map<string, number>([['6379', redis.port]])
  for (const port of ['4747', '4748', '4749', '8080']) ports.set(port, await freePort())
  const here = (text: string) => text.replace(/\b(6379|474[789]|8080)\b/g, (port) => String(ports.get(port)))
  const folder = folderOf()
  const [config = ''] = /(?<=^echo ').*(?=' > \/etc\/fanfare.json$)/m.exec(COMMANDS) ?? []
  writeFileSync(join(folder, 'fanfare.json'), here(config))
  const units = /^systemctl enable --now redis-server (.*)$/m.exec(COMMANDS)?.[1]?.split(' ') ?? []
  expect(units).toHaveLength(3)
  const [, start = ''] = /^ExecStart=\/usr\/bin\/node \S+ (.*)$/m.exec(page('fanfare@.service')) ?? []
  const hubs = units.map((unit) => {
    const instance = here(unit.replace('fanfare@', ''))
    const args = start.replaceAll('%i', instance).replace('%H', 'here').replace('/etc', folder).split(' ')
    return new RunningCommand(process.execPath, [join(ROOT, 'dist/server/main.js'), ...args])
  })
  await Promise.all(hubs.map((hub) => hub.said('stderr', /"msg":"listening"/)))
  const port = ports.get(hasNginx ? '8080' : '4747')
  if (hasNginx) {
    const site = here(page('nginx-cluster.conf'))
    const main = `daemon off; pid ${folder}/pid; error_log stderr; events {}\nhttp { access_log off;\n${site}}`
    writeFileSync(join(folder, 'nginx.conf'), main)
    new RunningCommand('nginx', ['-e', 'stderr', '-c', join(folder, 'nginx.conf')])
  }
  const path = /^curl -f --retry 9 http:\/\/127\.0\.0\.1:8080(\S+)$/m.exec(COMMANDS)?.[1]
  const listed = async () => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`).catch(() => undefined)
    return answer?.ok && ((await answer.json()) as NodesStatus).nodes.map(({ name }) => name)
  }
  const names = ['4747', '4748', '4749'].map((each) => `here-${ports.get(each)}`)
  await expect.poll(async () => new Set((await listed()) || [])).toEqual(new Set(names))
  const clients = Array.from({ length: 6 }, () => connect(`ws://127.0.0.1:${port}/`))
  const seen: unknown[] = []
  for (const client of clients) await client.subscribe('live', ({ data }) => void seen.push(data)).ready
  await clients[0]?.publish('live', 1)
  await expect.poll(() => seen).toEqual([1, 1, 1, 1, 1, 1])
  const { nodes = [] } = (await clients[0]?.admin.nodes.list()) ?? {}
  const counts = nodes.map(({ connections }) => connections)
  expect(counts).toEqual(hasNginx ? [2, 2, 2] : expect.arrayContaining([6]))

  const jobs = () => clients[0]?.admin.queues.declare({ name: 'jobs', bindings: [{ topic: 'jobs.#' }] })
  await expect(jobs()).rejects.toMatchObject({ code: 'cluster_live_only' })
  const [setting = ''] = /(?<=^redis-cli )config set .*$/m.exec(page('cluster.md')) ?? []
  execFileSync('redis-cli', ['-p', String(redis.port), ...setting.split(' ')])
  await expect.poll(() => jobs()?.catch(({ code }) => code)).toMatchObject({ name: 'jobs' })
  for (const client of clients) await client.close()
})

it('the commands of the page move a hub to a cluster and back', async () => {
  const redis = await durableRedis()
  const folder = folderOf()
  const here = (text: string) =>
    text.replaceAll('/var/lib', folder).replaceAll('redis://127.0.0.1:6379', redis.url).split(' ')
  const lines = blocksOf('Moving to a cluster and back').flatMap((block) => block.trim().split('\n'))
  expect(lines).toHaveLength(6)
  let hub = await serve(['--data', join(folder, 'fanfare')])
  await clientAt(hub.url, (client) => client.admin.streams.declare({ name: 'orders', topics: ['orders.#'] }))
  const once = { id: 'once' }
  const duplicates: boolean[] = []
  const publish = () =>
    clientAt(hub.url, async (client) => {
      duplicates.push((await client.publish('orders.new', 1, once)).duplicate)
    })
  await publish()
  for (const line of lines) {
    const [program, verb, ...args] = here(line)
    if (program === 'systemctl') {
      hub.command.signal('SIGTERM')
      await hub.command.exit
    } else if (verb === 'serve') {
      hub = await serve(args)
      await publish()
    } else {
      const command = fanfare([verb as string, ...args])
      expect([await command.exit, command.stderr]).toEqual([0, ''])
    }
  }
  expect(duplicates).toEqual([false, true, true])
})

/** The commands of a section of the page. */
function blocksOf(heading: string): string[] {
  const [, section = ''] = page('cluster.md').split(`\n## ${heading}\n`)
  return Array.from(section.split('\n## ')[0]?.matchAll(/(?<=```console\n)[\s\S]*?(?=```)/g) ?? [], ([block]) => block)
}

async function clientAt(url: string, use: (client: Client) => Promise<unknown>): Promise<void> {
  const client = connect(url)
  await use(client)
  await client.close()
}

function which(name: string): boolean {
  try {
    execFileSync('which', [name])
    return true
  } catch {
    return false
  }
}

function folderOf(): string {
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-page-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
