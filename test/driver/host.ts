import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { SignJWT } from 'jose'
import { pick, type Random, whole } from '../fuzz/random.ts'
import { freePort } from '../setup/free-port.ts'
import { HubProcess } from '../setup/hub-process.ts'
import { seeded } from '../setup/seeded.ts'

const SECRET = 'a secret that is thirty-two bytes long, and more'
const KEY = new TextEncoder().encode(SECRET)

/** What the driver asks of its surroundings; a page asks Node. */
export interface Host {
  /** Something happens to the hub or to tokens, and is over when this resolves. Resolves to its name. */
  fault(): Promise<string>
  token(): Promise<string | undefined>
  /** The last hub stands, and its tokens are good. */
  calm(): Promise<void>
}

/** A hub in a process of its own, at one address for all of its lives. It remembers nothing from one to the next. */
export class HubHost implements Host {
  readonly port: number
  private readonly folder: string
  private readonly random: Random
  private hub: HubProcess | undefined
  private tokens: 'good' | 'stale' | 'none' | 'rubbish' | 'throw' = 'good'

  private constructor(port: number, folder: string, seed: number) {
    this.port = port
    this.folder = folder
    this.random = seeded(seed)
  }

  static async start(seed: number): Promise<HubHost> {
    const host = new HubHost(await freePort(), await mkdtemp(join(tmpdir(), 'fanfare-driver-')), seed)
    const secretFile = join(host.folder, 'secret')
    await writeFile(secretFile, SECRET)
    const auth = { jwt: { keys: [{ secretFile }], audience: 'driver', clockTolerance: 1 } }
    await writeFile(join(host.folder, 'hub.json'), JSON.stringify({ auth, drainTimeout: 200 }))
    await host.run({})
    return host
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/`
  }

  async close(): Promise<void> {
    await this.hub?.kill()
    await rm(this.folder, { recursive: true, force: true })
  }

  async fault(): Promise<string> {
    const { random } = this
    const name = pick(random, ['killed', 'stopped', 'low limits', 'tokens', 'silent'] as const)
    if (name === 'killed') await this.restart('SIGKILL', {})
    else if (name === 'stopped') await this.restart('SIGTERM', {})
    else if (name === 'low limits') await this.restart('SIGKILL', this.lowLimits())
    else if (name === 'silent') await this.silence()
    else {
      this.tokens = pick(random, ['stale', 'none', 'rubbish', 'throw'] as const)
      if (random() < 0.5) await this.restart('SIGKILL', {})
      else await wait(200 + random() * 800)
      this.tokens = 'good'
    }
    return name
  }

  async token(): Promise<string | undefined> {
    const { random, tokens } = this
    if (tokens === 'throw') throw new Error('No token now')
    if (tokens === 'none') return undefined
    if (tokens === 'rubbish') return 'rubbish'
    const ends = Math.floor(Date.now() / 1000) + (tokens === 'stale' ? -60 : 2 + whole(random, 30))
    const token = new SignJWT({ permissions: { admin: true } })
    return token
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject('ann')
      .setAudience('driver')
      .setExpirationTime(ends)
      .sign(KEY)
  }

  async calm(): Promise<void> {
    this.tokens = 'good'
  }

  private lowLimits(): Record<string, number> {
    const { random } = this
    const all: readonly Record<string, number>[] = [
      { 'messages-per-second': 100 + whole(random, 200) },
      { 'subscribes-per-second': 3 + whole(random, 6) },
      { window: 1 + whole(random, 4) },
      { calls: 1 + whole(random, 2) },
    ]
    return Object.assign({}, ...all.filter(() => random() < 0.5))
  }

  private async silence(): Promise<void> {
    this.hub?.signal('SIGSTOP')
    await wait(100 + this.random() * 400)
    this.hub?.signal('SIGCONT')
  }

  private async restart(signal: NodeJS.Signals, limits: Record<string, number>): Promise<void> {
    await this.hub?.kill(signal)
    await wait(this.random() * 200)
    await this.run(limits)
  }

  private async run(limits: Record<string, number>): Promise<void> {
    const config = join(this.folder, 'hub.json')
    this.hub = await HubProcess.start({ port: this.port, data: 'memory', config, ...limits })
  }
}
