import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { command, type RedisPlace } from './cluster.ts'
import { freePort } from './free-port.ts'
import { REDIS, type RedisServer, secureOptions } from './redis-server.ts'

/** The sentinel's name of what it watches. */
export const PRIMARY = 'main'

interface Secure {
  readonly certFile: string
  readonly keyFile: string
}

export interface Sentinel extends RedisPlace {
  readonly port: number
  signal(name: NodeJS.Signals): void
}

interface SentinelOptions {
  /** How many sentinels have to say that the primary has died; 1 by default. */
  readonly quorum?: number
  /** Without an answer of it for this time, in milliseconds. */
  readonly downAfter?: number
  /** It speaks TLS, and the password of Redis is `secret`. */
  readonly secure?: Secure | undefined
}

/** A Redis Sentinel that ends with the test. It makes a replica the primary about two seconds after the primary has died. */
export async function sentinelOf(
  primary: Pick<RedisServer, 'port'>,
  { quorum = 1, downAfter = 1000, secure }: SentinelOptions = {},
): Promise<Sentinel> {
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-sentinel-'))
  const file = join(folder, 'sentinel.conf')
  const listening = secure ? secureOptions(port, secure.certFile, secure.keyFile) : ['--port', `${port}`]
  const lines = [
    'bind 127.0.0.1',
    `dir ${folder}`,
    `sentinel monitor ${PRIMARY} 127.0.0.1 ${primary.port} ${quorum}`,
    `sentinel auth-pass ${PRIMARY} secret`,
    `sentinel down-after-milliseconds ${PRIMARY} ${downAfter}`,
    `sentinel failover-timeout ${PRIMARY} 3000`,
  ]
  writeFileSync(file, lines.join('\n'))
  const child = spawn(REDIS, [file, '--sentinel', ...listening], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(async () => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    rmSync(folder, { recursive: true, force: true })
  })
  await said(child, '+monitor master')
  const signal = (name: NodeJS.Signals) => void child.kill(name)
  return { port, signal, url: `${secure ? 'rediss' : 'redis'}://127.0.0.1:${port}`, caFile: secure?.certFile }
}

/** Resolves when the sentinel knows a replica that has everything. */
export async function knowsReplica(sentinel: Sentinel): Promise<void> {
  const replicas = async () => JSON.stringify(await command(sentinel, 'SENTINEL', 'REPLICAS', PRIMARY))
  await expect.poll(replicas).toMatch(/"master-link-status"[,:]"ok"/)
}

async function said({ stdout }: ChildProcess, words: string): Promise<void> {
  let text = ''
  await new Promise<void>((resolve, reject) => {
    stdout?.on('data', (chunk) => {
      text += chunk
      if (text.includes(words)) resolve()
    })
    stdout?.on('end', () => reject(new Error(`The sentinel did not start:\n${text}`)))
  })
}
