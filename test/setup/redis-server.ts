import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { freePort } from './free-port.ts'
import type { MovableClock } from './movable-clock.ts'

export const REDIS = '/usr/bin/redis-server'

/** A Redis of a test: it keeps nothing on the disk, and is started again on the same port. */
export class RedisServer {
  readonly port: number
  private readonly scheme: 'redis' | 'rediss'
  private readonly options: readonly string[]
  private process: ChildProcess | undefined = undefined
  /** More of its environment. */
  private env: NodeJS.ProcessEnv = {}

  private constructor(port: number, options: readonly string[], scheme: 'redis' | 'rediss' = 'redis') {
    this.port = port
    this.options = options
    this.scheme = scheme
  }

  /** `options`: as on its command line. */
  static async start(...options: string[]): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), options)
    await server.start()
    return server
  }

  /** One with a clock of its own. */
  static async startWithClock(clock: MovableClock, ...options: string[]): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), options)
    server.env = clock.env
    await server.start()
    return server
  }

  /** One that speaks TLS only, also to its replicas. */
  static async startSecure(certFile: string, keyFile: string, ...options: string[]): Promise<RedisServer> {
    const port = await freePort()
    const server = new RedisServer(port, [...secureOptions(port, certFile, keyFile), ...options], 'rediss')
    await server.start()
    return server
  }

  get url(): string {
    return `${this.scheme}://127.0.0.1:${this.port}`
  }

  get pid(): number {
    return this.process?.pid as number
  }

  /** `more`: options that take precedence over those that it was made with. */
  async start(...more: string[]): Promise<void> {
    const standing = ['--port', String(this.port), '--bind', '127.0.0.1', '--save', '', '--daemonize', 'no']
    // A replica has no file of what it gets either.
    standing.push('--repl-diskless-load', 'swapdb', '--repl-diskless-sync-delay', '0')
    this.process = spawn(REDIS, [...standing, ...this.options, ...more], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...this.env },
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

/** The certificate is its own CA. */
export function secureOptions(port: number, certFile: string, keyFile: string): string[] {
  const files = ['--tls-cert-file', certFile, '--tls-key-file', keyFile, '--tls-ca-cert-file', certFile]
  return ['--port', '0', '--tls-port', `${port}`, '--tls-replication', 'yes', '--tls-auth-clients', 'no', ...files]
}
