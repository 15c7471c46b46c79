import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { type Client, connect, type FanfareError } from '../../client/node.ts'
import { ENGINES } from '../setup/engines.ts'
import { configFile, HubProcess } from '../setup/hub-process.ts'
import { seeded } from '../setup/seeded.ts'
import { type SmallDisk, smallDisk } from '../setup/small-disk.ts'

const ROUNDS = Number(process.env['FAULTS_DISK_ROUNDS'] ?? 2)
/** Round n of seed s is round 1 of seed s + n - 1: a round that failed is repeated by itself. */
const SEED = Number(process.env['FAULTS_SEED'] ?? Date.now() % 1_000_000)
const STEPS = 14

const trial = await smallDisk(1)
await trial?.remove()

/** One hub on a small disk, alongside a process that fills the disk and frees it again, and what was acknowledged. */
class FullDisk {
  readonly file: string
  private readonly disk: SmallDisk
  private readonly random: () => number
  private readonly engine: string
  private readonly config: string
  private hub: HubProcess | undefined
  private client: Client | undefined
  private racer: ChildProcess | undefined
  private next = 0
  /** By offset, what the stream holds since the last trim. */
  private readonly inStream = new Map<number, string>()
  private readonly inQueue = new Set<string>()
  /** Refused or not answered before a kill: the first must be nowhere, the second may be. */
  private readonly refused = new Set<string>()
  private readonly acked = new Set<string>()

  constructor(disk: SmallDisk, random: () => number, engine: string, config: string) {
    this.disk = disk
    this.random = random
    this.engine = engine
    this.config = config
    this.file = join(disk.path, 'racer')
  }

  private get to(): Client {
    return this.client as Client
  }

  async start(): Promise<void> {
    const { config, engine } = this
    this.hub = await HubProcess.start({ data: join(this.disk.path, 'data'), config, engine })
    this.client = connect(this.hub.url)
  }

  async restart(signal: NodeJS.Signals): Promise<void> {
    await this.client?.close()
    const { code } = (await this.hub?.kill(signal)) ?? {}
    if (signal === 'SIGTERM') expect(code).toBe(0)
    await this.start()
  }

  /** Kills the hub while publishes are under way: what is not answered may have been kept. */
  async killUnderLoad(): Promise<void> {
    const publishing = this.publish()
    await this.hub?.kill()
    await this.client?.close({ timeout: 1 })
    await publishing
    await this.start()
  }

  race(): void {
    const take = `head -c ${10 + Math.floor(this.random() * 90)}m /dev/zero > '${this.file}' 2>/dev/null`
    const pause = () =>
      `sleep 0.${Math.floor(this.random() * 20)
        .toString()
        .padStart(2, '0')}`
    const script = `while :; do ${take}; ${pause()}; rm -f '${this.file}'; ${pause()}; done`
    this.racer = spawn('sh', ['-c', script], { stdio: 'ignore', detached: true })
  }

  async stopRacing(): Promise<void> {
    const { racer } = this
    if (!racer) return
    this.racer = undefined
    // With the process that it waits for.
    process.kill(-(racer.pid as number), 'SIGKILL')
    await once(racer, 'close')
    await rm(this.file, { force: true })
  }

  /** Publishes and enqueues some. Gives how many were refused for want of room. */
  async publish(count = 1 + Math.floor(this.random() * 60)): Promise<number> {
    const data = 'x'.repeat(Math.floor(this.random() ** 2 * 60_000))
    let full = 0
    const note = (id: string) => (error: FanfareError) => {
      if (error.code !== 'storage_full') return
      full++
      this.refused.add(id)
    }
    const all = Array.from({ length: count }, () => {
      const id = `m${this.next++}`
      if (this.random() < 0.4) return this.to.enqueue('jobs', data, { id }).then(() => this.inQueue.add(id), note(id))
      const kept = ({ positions }: { positions: Readonly<Record<string, { offset: number }>> }) =>
        this.inStream.set((positions['log'] as { offset: number }).offset, id)
      return this.to.publish('log', data, { id }).then(kept, note(id))
    })
    await Promise.all(all)
    return full
  }

  /** Trims all, or some of the oldest. */
  async trim(all: boolean): Promise<void> {
    const { first, next } = await this.to.admin.streams.show('log')
    const before = all ? next : first + Math.floor((next - first) * this.random())
    await this.to.admin.streams.trim('log', before)
    for (const offset of this.inStream.keys()) if (offset < before) this.inStream.delete(offset)
  }

  async drain(most = Number.POSITIVE_INFINITY): Promise<void> {
    const { depth, inFlight } = await this.to.admin.queues.show('jobs')
    let left = Math.min(depth + inFlight, most)
    if (left === 0) return
    for await (const delivery of this.to.consume('jobs', { prefetch: 8 })) {
      expect(this.acked.has(delivery.id), `${delivery.id} comes again after its ack`).toBe(false)
      expect(this.refused.has(delivery.id), `${delivery.id} was refused`).toBe(false)
      await delivery.ack()
      this.acked.add(delivery.id)
      this.inQueue.delete(delivery.id)
      if (--left === 0) break
    }
  }

  /** What was acknowledged is there: in its place, once. */
  async judge(): Promise<void> {
    const { first, next } = await this.to.admin.streams.show('log')
    const found = new Map<number, string>()
    if (first < next) {
      for await (const { id, offsets } of this.to.subscribe('log', { from: 'earliest' })) {
        found.set(offsets?.['log'] as number, id)
        if ((offsets?.['log'] as number) >= next - 1) break
      }
    }
    for (const [offset, id] of this.inStream) expect(found.get(offset)).toBe(id)
    expect(new Set(found.values()).size).toBe(found.size)
    for (const id of found.values()) expect(this.refused.has(id), `${id} was refused`).toBe(false)
    await this.drain()
    expect([...this.inQueue]).toEqual([])
  }

  /** The disk is full of what the hub has stored: when that goes, there is room again, now and after a restart. */
  async worksAgain(): Promise<void> {
    for (let full = 0; full === 0; ) full = await this.publish(40)
    await this.trim(true)
    await this.drain()
    for (let n = 0; n < 20; n++) expect(await this.publish(10)).toBe(0)
    await this.trim(true)
    await this.drain()
    await this.restart('SIGKILL')
    for (let n = 0; n < 20; n++) expect(await this.publish(10)).toBe(0)
  }

  async close(): Promise<void> {
    await this.stopRacing()
    await this.client?.close()
    await this.hub?.kill()
    await this.disk.remove()
  }
}

describe.skipIf(!trial)('rounds on a full disk', async () => {
  // Elsewhere: the disk of a round has no room for it.
  const folder = await mkdtemp(join(tmpdir(), 'fanfare-disk-rounds-'))
  const config = await configFile(join(folder, 'config.json'), [{ name: 'log', topics: ['log'] }], [{ name: 'jobs' }])
  afterAll(() => rm(folder, { recursive: true }))

  it.each(Array.from({ length: ROUNDS }, (_, n) => SEED + n))(
    'FAULTS_SEED=%i FAULTS_DISK_ROUNDS=1',
    async (seed) => {
      const random = seeded(seed)
      const disk = (await smallDisk(40 + Math.floor(random() * 60))) as SmallDisk
      const world = new FullDisk(disk, random, ENGINES[seed % ENGINES.length] as string, config)
      onTestFinished(() => world.close())
      await world.start()
      world.race()
      for (let step = 0; step < STEPS; step++) {
        const chance = random()
        if (chance < 0.62) for (let n = 0; n < 4; n++) await world.publish()
        else if (chance < 0.72) await world.trim(random() < 0.5)
        else if (chance < 0.86) await world.drain(100)
        else if (chance < 0.93) await world.killUnderLoad()
        else await world.restart('SIGTERM')
      }
      await world.stopRacing()
      await world.judge()
      await world.worksAgain()
      await world.judge()
    },
    60_000,
  )
})
