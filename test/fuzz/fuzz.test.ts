import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, describe, expect, it } from 'vitest'
import type { HubInfo } from '../../shared/sys.ts'
import { ENGINES } from '../setup/engines.ts'
import { configFile, HubProcess } from '../setup/hub-process.ts'
import { seeded } from '../setup/seeded.ts'
import { attackWithBytes, attackWithMessages } from './attackers.ts'
import { CONTROL_QUEUE, CONTROL_STREAM, ControlClient } from './control-client.ts'
import { attackWithRequests } from './request-attacker.ts'

/** On each engine; every fiftieth is a sequence of bytes on a socket of its own. */
const FRAMES = Number(process.env['FUZZ_FRAMES'] ?? 3_000)
/** HTTP requests, on each engine. */
const REQUESTS = Number(process.env['FUZZ_REQUESTS'] ?? 1_500)
const SEED = Number(process.env['FUZZ_SEED'] ?? Date.now() % 1_000_000)
const ATTACKERS = 4
const BYTE_SEQUENCES = FRAMES / 50
/** How much more memory a hub may use at the end than in the middle, both without garbage: fragments and caches, not leaks. */
const MEMORY_SWING = 64 * 1024 * 1024
/** Lets the test collect garbage: how much of it a busy hub has depends on when the collector last ran. */
const WITH_COLLECTOR = ['--expose-gc', '--import', 'data:text/javascript,process.on("SIGUSR2", () => gc())']

/** Small, so that fuzzed messages reach every limit. */
const STREAMS = [CONTROL_STREAM, { name: 'fuzz', topics: ['fuzz.kept.#'], maxMessages: 500 }]
const QUEUES = [
  CONTROL_QUEUE,
  { name: 'fuzz', bindings: [{ topic: 'fuzz.work.#' }], maxMessages: 200, overflow: 'drop-oldest', maxAttempts: 2 },
  { name: 'fuzz-2', bindings: [{ topic: 'fuzz.#' }], maxMessages: 50, overflow: 'dead-letter', maxDeadLetters: 50 },
]

describe.each(ENGINES)(`fuzzed peers on %s, with FUZZ_SEED=${SEED}`, (engine) => {
  let hub: HubProcess | undefined
  afterAll(() => hub?.kill())

  it(`neither crash the hub nor stay in it, and another client does not notice: ${FRAMES} frames, ${REQUESTS} requests`, async () => {
    const config = await configFile(join(tmpdir(), `fanfare-fuzz-${process.pid}.json`), STREAMS, QUEUES)
    // Few ids, so that their memory is full by the middle.
    hub = await HubProcess.start({ engine, config, data: 'memory', 'dedup-ids': 1000 }, WITH_COLLECTOR)
    const control = await ControlClient.start(hub.url)
    await attack(hub, 1)
    const memoryHalfway = await keptBytes(hub, control)
    await attack(hub, 2)

    // The connections of the attackers are gone, and what they held.
    const left = async () => (await control.call('hub.show')) as HubInfo
    await expect.poll(left).toMatchObject({ connections: 2, subscriptions: 2 })
    expect((await left()).outboxBytes).toBeLessThan(100_000)
    const memoryAtEnd = await keptBytes(hub, control)
    expect(memoryAtEnd - memoryHalfway).toBeLessThan(MEMORY_SWING)

    const { wrong, published, received, slowestMs } = await control.stop()
    console.log(
      `${engine}: the control client had ${control.count} messages, the slowest in ${Math.round(slowestMs)} ms;`,
      `the hub took ${megabytes(memoryHalfway)} MB in the middle and ${megabytes(memoryAtEnd)} MB at the end`,
    )
    expect(wrong).toEqual([])
    expect(received).toEqual(published)
    const { code, stderr } = await hub.kill('SIGTERM')
    // What a peer sends is an error of its own, never one that the hub did not expect.
    expect({ code, failures: stderr.match(/"level":50.*/g) }).toEqual({ code: 0, failures: null })
  }, 1_500_000)
})

/** Half of everything. */
async function attack(hub: HubProcess, part: number): Promise<void> {
  const ended = hub.ended.then(({ code, signal, stderr }) => {
    throw new Error(`The hub ended with ${code ?? signal}: ${stderr.slice(-3000)}`)
  })
  const attacks = Promise.all([
    ...Array.from({ length: ATTACKERS }, (_, n) =>
      attackWithMessages(hub.url, seeded(SEED + part * 100 + n), FRAMES / 2 / ATTACKERS),
    ),
    attackWithBytes(hub.port, seeded(SEED + part * 100 + 50), BYTE_SEQUENCES / 2),
    attackWithRequests(hub.port, seeded(SEED + part * 100 + 60), REQUESTS / 2),
  ])
  await Promise.race([attacks, ended])
}

/** What it takes in memory once garbage is collected: several times, as what has a finalizer goes with a later collection. */
async function keptBytes(hub: HubProcess, control: ControlClient): Promise<number> {
  for (let collection = 0; collection < 5; collection++) {
    hub.signal('SIGUSR2')
    await wait(200)
    // A hub that answers has had a turn of the event loop since then, however busy the machine is.
    await control.call('hub.show')
  }
  return residentBytes(hub.pid)
}

const megabytes = (bytes: number) => Math.round(bytes / 1024 / 1024)

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
}
