import type { Buffer } from 'node:buffer'
import { hostname } from 'node:os'
import type { Logger } from 'pino'
import { FanfareError } from '../../../../shared/errors.ts'
import type { RedisAddress } from '../../../bus/redis/redis-address.ts'
import { randomId } from '../../../id/random-id.ts'
import type { Archive, Batch, ContentId, CopyState, Names } from '../../archive.ts'
import { Keys } from '../keys.ts'
import type { Argument } from '../link.ts'
import { COPY_STATE, COPY_STEP, HOLD, IDENTIFY, RELEASE } from '../lua/archive.ts'
import { promiseOf } from '../promises.ts'
import type { Op } from '../writer.ts'
import { ArchiveLink } from './archive-link.ts'
import { ArchiveReader } from './archive-reader.ts'
import { ArchiveWriter } from './archive-writer.ts'

/** How long the space is held without a renewal, and the interval of renewals, in milliseconds. */
const HOLD_MS = 10_000
const RENEW_MS = 2_500
/** A node that was killed counts as running for five seconds, and a copy that was killed for `HOLD_MS`. */
const LAPSE_MS = { LIVE: 6_000, BUSY: HOLD_MS + 1_000 }
const LOOK_AGAIN_MS = 250
/** How long replicas may take to have the end of a copy, and one call that waits for them, in milliseconds. */
const REPLICATED_MS = 10_000
const WAIT_MS = 1_000

/** The holders of this process. */
const ownHolders = new Set<string>()

/** A space of a Redis as an archive. Its nodes must have ended, and none can join as long as it is open. */
export class RedisArchive implements Archive {
  readonly place: string
  risk: string | undefined = undefined
  private readonly link: ArchiveLink
  private readonly holder = `${randomId(10)}@${hostname()}:${process.pid}`
  private readonly reader: ArchiveReader
  private readonly writer: ArchiveWriter
  private renewal: NodeJS.Timeout | undefined = undefined
  /** Why it can no longer be written to. */
  private isLost = false

  private constructor(place: string, link: ArchiveLink) {
    this.place = place
    this.link = link
    ownHolders.add(this.holder)
    this.reader = new ArchiveReader(link)
    this.writer = new ArchiveWriter(link, Date.now())
  }

  /** Throws `cluster_unreachable`, `bad_config` also for a target that may delete any key, `data_locked` if nodes are running, and `data_foreign` if it `mustExist` and does not. */
  static async open(
    place: string,
    address: RedisAddress,
    prefix: string,
    mustExist: boolean,
    log: Logger,
  ): Promise<RedisArchive> {
    const link = new ArchiveLink(address, new Keys(prefix), true, log)
    link.inbox = 'copy'
    const archive = new RedisArchive(place, link)
    try {
      await link.open()
      if (!mustExist) archive.risk = riskOf((await promiseOf(link)).fault?.text)
      await archive.hold()
    } catch (error) {
      await link.close()
      throw error
    }
    const isThere = !mustExist || (await archive.contentId()).state !== '/'
    if (isThere) return archive
    await archive.close()
    throw new FanfareError('data_foreign', `${place} has no data of Fanfare.`)
  }

  async contentId(): Promise<ContentId> {
    const [held, space, mark] = await this.list(IDENTIFY, this.holder, randomId(10))
    if (held === 'LOST') throw lost(this.place)
    return { place: this.place, state: `${space}/${mark}` }
  }

  names(): Promise<Names> {
    return this.reader.names()
  }

  read(only?: Names): AsyncIterable<Batch> {
    return this.reader.read(only)
  }

  async copied(): Promise<CopyState | undefined> {
    const [source, batches, finished] = (await this.link.read(COPY_STATE, [''])) as (Buffer | null)[]
    if (!source) return undefined
    const isFinished = finished !== null
    return { source: JSON.parse(String(source)) as ContentId, batches: Number(batches), isFinished }
  }

  async begin(source: ContentId): Promise<void> {
    const server = String(await this.link.ask('INFO', 'server').catch(() => ''))
    const run = /run_id:(\w+)/.exec(server)?.[1] ?? ''
    await this.step(0, [{ name: 'begin', args: [JSON.stringify(source), randomId(10), run] }])
  }

  async write(batch: Batch, number: number): Promise<void> {
    await this.step(number, await this.writer.opsOf(batch))
  }

  async finish(): Promise<void> {
    const { batches } = (await this.copied()) as CopyState
    await this.step(batches + 1, [{ name: 'finish', args: [] }])
  }

  async replicated(): Promise<string | undefined> {
    for (const since = performance.now(); ; ) {
      const { replicas } = await promiseOf(this.link)
      if (replicas === 0) return undefined
      const there = await this.link.waitForReplicas(this.link.keys.waited('copy'), replicas, WAIT_MS)
      if (there >= replicas) return undefined
      if (performance.now() - since > REPLICATED_MS)
        return `Only ${there} of ${replicas} replicas have the copy so far. A failover to another one loses it.`
    }
  }

  async close(): Promise<void> {
    clearInterval(this.renewal)
    ownHolders.delete(this.holder)
    await this.link.turn(RELEASE, ['', this.holder]).catch(() => {})
    await this.link.close()
  }

  private async step(number: number, ops: readonly Op[]): Promise<void> {
    if (this.isLost) throw lost(this.place)
    const args = ops.flatMap(({ name, args }) => [name, args.length, ...args])
    const answer = await this.link.turn(COPY_STEP, ['', this.holder, number, ...args])
    if (String(answer) !== 'OK') throw lost(this.place)
  }

  /** Waits for nodes and copies that were killed. */
  private async hold(): Promise<void> {
    let dead = ''
    for (const since = performance.now(); ; ) {
      const [answer, ...names] = await this.list(HOLD, this.holder, HOLD_MS, dead)
      if (answer === 'HELD') break
      if (answer === 'BUSY' && isDead(names[0] as string)) dead = names[0] as string
      if (performance.now() - since > LAPSE_MS[answer as keyof typeof LAPSE_MS])
        throw new FanfareError(
          'data_locked',
          answer === 'BUSY'
            ? `${this.place} is being copied already, or is the source itself. Wait until that has ended, or name another place.`
            : `Hubs are running on ${this.place}: ${names.join(', ')}. Stop them, then copy.`,
        )
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS))
    }
    this.renewal = setInterval(() => void this.renew(), RENEW_MS).unref()
  }

  private async renew(): Promise<void> {
    const [answer] = await this.list(HOLD, this.holder, HOLD_MS, '').catch(() => ['LOST'])
    if (answer !== 'HELD') this.isLost = true
  }

  private async list(script: string, ...args: Argument[]): Promise<string[]> {
    return ((await this.link.read(script, ['', ...args])) as unknown[]).map(String)
  }
}

function riskOf(fault: string | undefined): string | undefined {
  if (fault === undefined) return undefined
  return `This Redis can lose what is copied into it: ${fault}. Hubs use it only with clusterDurability 'relaxed'.`
}

function lost(place: string): FanfareError {
  return new FanfareError(
    'data_locked',
    `${place} is no longer reserved for this copy: Redis was away, or another copy has begun. Run the command again.`,
  )
}

/** Whether a holder was a process of this machine, and has ended. If it was none, it only has to begin again: each step checks who holds the space. */
function isDead(holder: string): boolean {
  const [, host, pid] = /@(.*):(\d+)$/.exec(holder) ?? []
  if (host !== hostname()) return false
  // After a restart in a container the number is the same.
  if (Number(pid) === process.pid) return !ownHolders.has(holder)
  try {
    process.kill(Number(pid), 0)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
}
