import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SignJWT } from 'jose'
import { cpuSeconds, moveToLoadCore, residentBytes } from './process-stats.ts'
import { milliseconds, number, row, title } from './report.ts'
import { Crowd } from './storm-crowd.ts'
import { fanfare, type Running } from './targets.ts'

export interface StormLoad {
  readonly engine: string
  readonly connections: number
}

const SECRET = 'a secret of the storm, thirty-two bytes at least'
const STREAM = 'news'
/** Published before and after a cut: every client must receive all of them once, in order. */
const MESSAGES = 10
/** From the cut until the last one is back. */
const WANTED_SECONDS = 10
const CONTROL = fileURLToPath(new URL(`./storm-control${extname(import.meta.url)}`, import.meta.url))

/** How the clients lose their connections: they are cut, the hub crashes, or it is stopped as for an upgrade. */
const CUTS = { 'cut off': undefined, killed: 'SIGKILL', stopped: 'SIGTERM' } as const

/**
 * All clients lose their connections at once and come back by themselves: each with a token that the hub has to check, a topic
 * of its own, and a stream that resumes where it was. All of them are real clients, in this process.
 */
export async function storm({ engine, connections }: StormLoad): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-storm-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(1))
  moveToLoadCore()
  const start = hubOf(folder, engine)
  // Below the ports that the system gives to clients: one of them that tries while the hub is away must not take its port.
  let hub = await start(20_000 + Math.floor(Math.random() * 10_000))
  const crowd = new Crowd(`ws://127.0.0.1:${hub.port}/`, STREAM)
  title(`${number(connections)} clients, engine ${engine}`)
  const tokens = await Promise.all(Array.from({ length: connections }, (_, n) => tokenOf(n)))
  await crowd.join(tokens)
  for (const [how, signal] of Object.entries(CUTS)) {
    await crowd.publish(MESSAGES)
    const slowest = signal ? undefined : await control(hub.port)
    const cut = performance.now()
    const before = signal ? 0 : cpuSeconds(hub.pid as number)
    const own = process.cpuUsage()
    const lost = crowd.lost()
    if (!signal) crowd.cut()
    else {
      await hub.stop(signal)
      hub = await start(hub.port)
    }
    const away = (performance.now() - cut) / 1000
    await lost
    await crowd.back()
    const seconds = (performance.now() - cut) / 1000
    const cpu = (cpuSeconds(hub.pid as number) - before) / connections
    const { user, system } = process.cpuUsage(own)
    const waited = await slowest?.()
    await crowd.publish(MESSAGES)
    await crowd.haveAll()
    row(
      `back after being ${how}`,
      `${seconds.toFixed(1)} s`,
      `${signal ? `the hub was away for ${away.toFixed(1)} s; ` : ''}CPU for each: hub ${milliseconds(cpu * 1000)}, client ${milliseconds((user + system) / 1000 / connections)}; ` +
        `${number(residentBytes(hub.pid as number) / 1e6)} MB${waited === undefined ? '' : `; others waited ${milliseconds(waited)} at most`}`,
      `wanted: ${WANTED_SECONDS} s`,
    )
    if (seconds > WANTED_SECONDS) process.exitCode = 1
  }
  await hub.stop()
  process.exit()
}

/** Starts a hub with the same data, as often as it is called. */
function hubOf(folder: string, engine: string): (port: number) => Promise<Running> {
  const config = join(folder, 'hub.json')
  const secretFile = join(folder, 'secret')
  writeFileSync(secretFile, SECRET)
  const streams = [{ name: STREAM, topics: [STREAM] }]
  writeFileSync(config, JSON.stringify({ streams, auth: { jwt: { keys: [{ secretFile }] } } }))
  const flags = ['--config', config, '--data', join(folder, 'data')]
  return (port) => fanfare(engine, [...flags, '--port', String(port)]).start()
}

/** A client that is not cut off. The returned function ends it, and returns the longest time that its messages took, in ms. */
async function control(port: number): Promise<() => Promise<number>> {
  const args = [...process.execArgv, CONTROL, `ws://127.0.0.1:${port}/`, await tokenOf(-1), 'control']
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  return async () => {
    child.stdin.write('enough\n')
    const [slowest] = await once(child.stdout, 'data')
    return Number(slowest)
  }
}

function tokenOf(n: number): Promise<string> {
  const permissions = { publish: [STREAM, 'control'], subscribe: [STREAM, 'users.${sub}.#', 'control'] }
  return new SignJWT({ permissions })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(String(n))
    .setExpirationTime('1h')
    .sign(new TextEncoder().encode(SECRET))
}
