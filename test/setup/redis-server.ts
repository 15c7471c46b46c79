import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { freePort } from './free-port.ts'

/** A Redis of a test: it keeps nothing on the disk, and is started again on the same port. */
export class RedisServer {
  readonly port: number
  private readonly options: readonly string[]
  private process: ChildProcess | undefined = undefined

  private constructor(port: number, options: readonly string[]) {
    this.port = port
    this.options = options
  }

  /** `options`: as on its command line. */
  static async start(...options: string[]): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), options)
    await server.start()
    return server
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  get pid(): number {
    return this.process?.pid as number
  }

  async start(): Promise<void> {
    const standing = ['--port', String(this.port), '--bind', '127.0.0.1', '--save', '', '--daemonize', 'no']
    this.process = spawn('/usr/bin/redis-server', [...standing, ...this.options], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const output = this.process.stdout as NonNullable<ChildProcess['stdout']>
    let said = ''
    await new Promise<void>((resolve, reject) => {
      output.on('data', (chunk) => {
        said += chunk
        if (said.includes('Ready to accept connections')) resolve()
      })
      output.on('end', () => reject(new Error(`redis-server did not start:\n${said}`)))
    })
  }

  signal(name: NodeJS.Signals): void {
    this.process?.kill(name)
  }

  async stop(): Promise<void> {
    const { process } = this
    this.process = undefined
    if (!process || process.exitCode !== null || process.signalCode !== null) return
    process.kill('SIGKILL')
    await once(process, 'exit')
  }
}
