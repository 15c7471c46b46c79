import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Service, WorkerState } from './contract.ts'

/** How long a failed worker is missing before it is replaced, so that one can see it, in milliseconds. */
const REPLACE_MS = 1_000
/** Time to finish the current work before a worker is killed, in milliseconds. */
const STOP_MS = 7_000

/** `.js` once a build has translated this file; then the parts are translated, too. */
const EXTENSION = extname(import.meta.url)
const RUNNER = EXTENSION === '.ts' ? ['--import', import.meta.resolve('tsx')] : []

type Kind = Service | 'edge'

interface Member {
  readonly worker: string
  readonly kind: Kind
  readonly child: ChildProcess
  /** It was asked to end. */
  leaving: boolean
}

/** The processes of the demo: as many of each kind as are wanted. */
export class Fleet {
  private readonly env: Readonly<Record<string, string>>
  private readonly say: (state: WorkerState) => void
  private readonly wanted = new Map<Kind, number>()
  private readonly members = new Map<string, Member>()
  private readonly replacing = new Set<NodeJS.Timeout>()
  private started = 0
  private stopped = false

  /** `env` applies to every process. `say` is called when one starts or ends. */
  constructor(env: Readonly<Record<string, string>>, say: (state: WorkerState) => void) {
    this.env = env
    this.say = say
  }

  /** Keeps this many from now on. Returns those that were started for it. */
  keep(kind: Kind, count: number): readonly string[] {
    this.wanted.set(kind, count)
    return this.adjust(kind)
  }

  wants(kind: Kind): number {
    return this.wanted.get(kind) ?? 0
  }

  /** Those that were not asked to end, newest first. */
  running(kind: Kind): readonly string[] {
    const members = [...this.members.values()].filter((each) => each.kind === kind && !each.leaving)
    return members.map(({ worker }) => worker).reverse()
  }

  /** Kills one as a crash does, and resolves when it is dead. */
  async kill(worker: string): Promise<void> {
    const member = this.members.get(worker)
    if (!member) throw new Error(`There is no worker ${worker}`)
    member.child.kill('SIGKILL')
    await once(member.child, 'exit')
  }

  /** Resolves when the process is ready; rejects in plain words if it ends before. */
  async ended(worker: string): Promise<never> {
    const member = this.members.get(worker)
    if (member) await once(member.child, 'exit')
    throw new Error(`The part ${worker} ended before it was ready`)
  }

  /** Ends all, and resolves when they have ended. */
  async stop(): Promise<void> {
    this.stopped = true
    for (const timer of this.replacing) clearTimeout(timer)
    const ends = [...this.members.values()].map(({ child }) => once(child, 'exit'))
    for (const kind of this.wanted.keys()) this.keep(kind, 0)
    await Promise.all(ends)
  }

  private adjust(kind: Kind): readonly string[] {
    const running = this.running(kind)
    const wanted = this.wants(kind)
    for (const worker of running.slice(0, Math.max(0, running.length - wanted))) this.end(worker)
    const missing = this.stopped ? 0 : Math.max(0, wanted - running.length)
    return Array.from({ length: missing }, () => this.start(kind))
  }

  private start(kind: Kind): string {
    const worker = `${kind}-${++this.started}`
    const file = fileURLToPath(new URL(`${kind}${EXTENSION}`, import.meta.url))
    const child = spawn(process.execPath, [...RUNNER, file], {
      env: { ...process.env, ...this.env, PHOTOS_WORKER: worker },
      // Nothing is sent over `ipc`: when it closes, the process knows that the stage is gone.
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    const member: Member = { worker, kind, child, leaving: false }
    this.members.set(worker, member)
    this.tell(member, 'starting')
    child.once('exit', () => this.left(member))
    return worker
  }

  private end(worker: string): void {
    const member = this.members.get(worker) as Member
    member.leaving = true
    member.child.kill('SIGTERM')
    const kill = setTimeout(() => member.child.kill('SIGKILL'), STOP_MS)
    member.child.once('exit', () => clearTimeout(kill))
  }

  private left(member: Member): void {
    const { worker, kind, leaving } = member
    this.members.delete(worker)
    this.tell(member, leaving ? 'stopped' : 'dead')
    if (leaving || this.stopped) return
    const timer = setTimeout(() => {
      this.replacing.delete(timer)
      this.adjust(kind)
    }, REPLACE_MS)
    this.replacing.add(timer)
  }

  private tell({ worker, kind, child }: Member, state: WorkerState['state']): void {
    if (kind !== 'edge') this.say({ worker, service: kind, pid: child.pid as number, state })
  }
}
