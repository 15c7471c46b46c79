import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { afterAll } from 'vitest'
import { WebSocket } from 'ws'
import type { WebSocketClass } from '../../client/index.ts'

/** A self-made certificate and its key: PEM. */
export interface Pair {
  readonly name: string
  readonly cert: string
  readonly key: string
}

/** Makes one for this machine. Keys are made in the test: none is kept anywhere. */
export function makePair(name: string, days = 30): Pair {
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const who = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost,DNS:hub.example,IP:127.0.0.1']
  const made = execFileSync('openssl', [...args, ...who, '-days', `${days}`, '-keyout', '-', '-out', '-'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const [key = '', cert = ''] = made.match(/-----BEGIN .+?-----END .+?-----\n/gs) ?? []
  return { name, cert, key }
}

const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** The files that a hub reads, as they are written and written again. */
export class PairFiles {
  readonly folder = mkdtempSync(join(tmpdir(), 'fanfare-tls-'))
  readonly certFile = join(this.folder, 'cert.pem')
  readonly keyFile = join(this.folder, 'key.pem')

  constructor(pair: Pick<Pair, 'cert' | 'key'>) {
    this.write(pair)
    folders.push(this.folder)
  }

  /** As options of a hub. */
  get tls() {
    return { certFile: this.certFile, keyFile: this.keyFile }
  }

  write({ cert, key }: Partial<Pair>): void {
    if (cert !== undefined) writeFileSync(this.certFile, cert)
    if (key !== undefined) writeFileSync(this.keyFile, key)
  }
}

/** A WebSocket that trusts these certificates. */
export function trusting(...ca: readonly Pair[]): WebSocketClass {
  const options = { ca: ca.map(({ cert }) => cert) }
  return class extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols, options)
    }
  } as unknown as WebSocketClass
}

/** The name on the certificate that a new connection gets, and the version of TLS. */
export async function handshake(port: number, options: ConnectionOptions = {}): Promise<[string, string | null]> {
  const socket = await secured(port, options)
  const seen: [string, string | null] = [String(socket.getPeerCertificate().subject.CN), socket.getProtocol()]
  socket.destroy()
  return seen
}

export async function secured(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options })
  await once(socket, 'secureConnect')
  return socket
}

/** One request over its own connection. */
export function get(port: number, path: string, ca: readonly Pair[], headers: Record<string, string> = {}) {
  const options = { host: '127.0.0.1', port, path, headers, ca: ca.map(({ cert }) => cert), agent: false as const }
  return new Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; text: string }>((resolve, reject) => {
    const request = httpsRequest(options, async (response) => {
      let text = ''
      for await (const chunk of response) text += chunk
      resolve({ status: response.statusCode ?? 0, headers: response.headers, text })
    })
    request.on('error', reject).end()
  })
}
