import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startHub } from '../../server/index.ts'
import {
  clientOf,
  command,
  faultsOf,
  goesOn,
  node,
  publishing,
  RIGHTS,
  readyIs,
  redisOf,
  SLOW,
  watch,
} from '../setup/cluster.ts'
import { HubProcess } from '../setup/hub-process.ts'
import { RedisServer } from '../setup/redis-server.ts'
import { ScriptedNode } from '../setup/scripted-node.ts'
import { knowsReplica, PRIMARY, sentinelOf } from '../setup/sentinel.ts'
import { makePair, PairFiles } from '../setup/tls.ts'

describe('hubs of a cluster, whose Redis', () => {
  it('speaks TLS and knows its users', async () => {
    const { folder, certFile, keyFile } = new PairFiles(makePair('redis'))
    const redis = await RedisServer.startSecure(certFile, keyFile)
    onTestFinished(() => redis.stop())
    const passwordFile = join(folder, 'password')
    writeFileSync(passwordFile, 'secret/with:signs@\n')
    await command(
      { url: redis.url, caFile: certFile },
      'ACL',
      'SETUSER',
      'hub',
      ...rights('fanfare', 'secret/with:signs@'),
    )
    const options = { 'cluster-password-file': passwordFile, 'cluster-ca-file': certFile }
    const url = redis.url.replace('//', '//hub@')
    const [a, b] = await Promise.all([node(url, options), node(url, options)])
    const seen = await watch(clientOf(b), 'live')
    publishing(clientOf(a), 'live')
    await goesOn(seen)
    expect(seen).not.toContain('link')
    const { code, stderr } = await HubProcess.refusal({ cluster: url, 'cluster-password-file': passwordFile })
    expect(code).toBe(1)
    expect(stderr).toMatch(/cluster_unreachable.*self-signed certificate/)
  })

  it('also serves a cluster with another prefix: neither knows of the other', async () => {
    const redis = await redisOf()
    for (const prefix of ['one', 'two']) await command(redis, 'ACL', 'SETUSER', prefix, ...rights(prefix, 'secret'))
    const start = (prefix: string) => node(redis.url.replace('//', `//${prefix}:secret@`), { 'cluster-prefix': prefix })
    const [a, b, other] = await Promise.all([start('one'), start('one'), start('two')])
    const [seen, seenByOther] = [await watch(clientOf(b), '#'), await watch(clientOf(other), '#')]
    publishing(clientOf(a), 'live')
    await goesOn(seen)
    expect(seenByOther).toEqual([])
    const counts = [a, b, other].map(async (hub) => (await clientOf(hub).admin.nodes.list()).nodes.length)
    expect(await Promise.all(counts)).toEqual([2, 2, 1])
  })

  it('has a node that speaks the next format: a hub that does not says so, and does not start', async () => {
    const redis = await redisOf()
    const running = await node(redis.url)
    const next = await ScriptedNode.start(redis.url, 'fanfare', [2, 2])
    onTestFinished(() => next.close())
    await next.hello()
    const { code, stderr } = await HubProcess.refusal({ cluster: redis.url })
    expect(code).toBe(2)
    expect(stderr).toMatch(
      /bad_config.*Node \\?"scripted-2-2\\?" of this cluster runs version 9\.9\.9, which speaks no format/,
    )
    await readyIs(running, 200)
    expect((await running.kill()).stderr).toMatch(/"node":"scripted-2-2".*ignored a node that speaks another format/)
  })

  it.runIf(SLOW)('is made a replica, and a primary again', async () => {
    const [redis, other] = await Promise.all([redisOf(), redisOf()])
    const [a, b] = await Promise.all([node(redis.url), node(redis.url)])
    const seen = await watch(clientOf(b), 'live')
    publishing(clientOf(a), 'live')
    await goesOn(seen)
    await command(redis, 'REPLICAOF', '127.0.0.1', `${other.port}`)
    await Promise.all([readyIs(a, 503), readyIs(b, 503)])
    const { code, stderr } = await HubProcess.refusal({ cluster: redis.url })
    expect(code).toBe(1)
    expect(stderr).toContain('it is a replica')
    await command(redis, 'REPLICAOF', 'NO', 'ONE')
    await Promise.all([readyIs(a, 200), readyIs(b, 200)])
    await goesOn(seen)
    expect(faultsOf(seen)).toEqual([])
  })

  it.runIf(SLOW)('takes seconds to load its data', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'fanfare-redis-'))
    onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
    const slowly = ['--key-load-delay', '1000', '--loading-process-events-interval-bytes', '1024']
    const redis = await redisOf('--dir', dir, '--enable-debug-command', 'yes', ...slowly)
    const [a, b] = await Promise.all([node(redis.url), node(redis.url)])
    const seen = await watch(clientOf(b), 'live')
    publishing(clientOf(a), 'live')
    await goesOn(seen)
    await command(redis, 'DEBUG', 'POPULATE', '3000')
    await command(redis, 'SAVE')
    await redis.stop()
    await Promise.all([readyIs(a, 503), readyIs(b, 503)])
    const loaded = redis.start()
    const third = node(redis.url)
    await Promise.all([loaded, third])
    await Promise.all([readyIs(a, 200), readyIs(b, 200)])
    await goesOn(seen)
    expect(faultsOf(seen)).toEqual([])
  })

  it.runIf(SLOW)('does nothing but run a script for seconds', async () => {
    const redis = await redisOf('--busy-reply-threshold', '100')
    const [a, b] = await Promise.all([node(redis.url), node(redis.url)])
    const seen = await watch(clientOf(b), 'live')
    publishing(clientOf(a), 'live')
    await goesOn(seen)
    const script = command(redis, 'EVAL', 'while true do end', '0').catch(() => {})
    await Promise.all([readyIs(a, 503), readyIs(b, 503)])
    await command(redis, 'SCRIPT', 'KILL')
    await script
    await Promise.all([readyIs(a, 200), readyIs(b, 200)])
    await goesOn(seen)
    expect(faultsOf(seen)).toEqual([])
  })

  for (const isSecure of [false, true]) {
    it.runIf(SLOW)(`fails over by Sentinel${isSecure ? ', over TLS' : ''}`, async () => {
      const { certFile, keyFile } = new PairFiles(makePair('redis'))
      const start = async (...options: string[]) => {
        const redis = isSecure
          ? await RedisServer.startSecure(certFile, keyFile, ...options)
          : await RedisServer.start(...options)
        onTestFinished(() => redis.stop())
        return redis
      }
      const protection = ['--requirepass', 'secret', '--masterauth', 'secret']
      const primary = await start(...protection)
      await start(...protection, '--replicaof', '127.0.0.1', `${primary.port}`)
      const sentinel = await sentinelOf(primary, { secure: isSecure ? { certFile, keyFile } : undefined })
      await knowsReplica(sentinel)
      const scheme = isSecure ? 'rediss' : 'redis'
      const url = `${scheme}+sentinel://:secret@127.0.0.1:${sentinel.port}/${PRIMARY}`
      const options = isSecure ? { 'cluster-ca-file': certFile } : {}
      const [a, b] = await Promise.all([node(url, options), node(url, options)])
      const client = clientOf(b)
      const [seen, quiet] = [await watch(client, 'live'), await watch(client, 'quiet')]
      publishing(clientOf(a), 'live')
      await goesOn(seen)
      await primary.stop()
      await Promise.all([readyIs(a, 503), readyIs(b, 503)])
      await Promise.all([readyIs(a, 200), readyIs(b, 200)])
      await goesOn(seen)
      expect(seen).toContain('link')
      expect(faultsOf(seen)).toEqual([])
      // Nothing was missed there.
      expect(quiet).toEqual([])
    })
  }
})

/** What a user of Redis may do who is a hub with that prefix. */
function rights(prefix: string, password: string): string[] {
  const places = [prefix, `{${prefix}}`].flatMap((each) => [`~${each}:*`, `&${each}:*`])
  return ['on', `>${password}`, ...places, ...RIGHTS.slice(RIGHTS.indexOf('-@all'))]
}

it('says what is likely wrong if only one side speaks TLS, or the CA is not known', async () => {
  const { certFile, keyFile } = new PairFiles(makePair('redis'))
  const [plain, secure] = [await RedisServer.start(), await RedisServer.startSecure(certFile, keyFile)]
  onTestFinished(() => Promise.all([plain.stop(), secure.stop()]).then(() => {}))
  const refusal = (cluster: string) =>
    startHub({ port: 0, cluster }).then(
      () => undefined,
      (error) => error,
    )
  const [noTls, tls, noCa] = await Promise.all([
    refusal(plain.url.replace('redis:', 'rediss:')),
    refusal(secure.url.replace('rediss:', 'redis:')),
    refusal(secure.url),
  ])
  for (const error of [noTls, tls, noCa]) expect(error).toMatchObject({ code: 'cluster_unreachable' })
  expect(noTls.message).toMatch(/\. If it does not speak TLS, begin the URL in cluster with redis instead of rediss\.$/)
  expect(tls.message).toMatch(/\. If it speaks TLS, begin the URL in cluster with rediss instead of redis\.$/)
  expect(noCa.message).toMatch(/\. Name the CA of its certificate in clusterCaFile\.$/)
})
