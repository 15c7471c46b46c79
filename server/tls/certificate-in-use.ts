import type { Logger } from 'pino'
import { fileVersion } from '../auth/file-version.ts'
import { type Certificate, readCertificate } from './certificate.ts'
import type { TlsOptions } from './tls-config.ts'

/** The files are looked at this often, in milliseconds. */
const LOOK_MS = 500

/** Gives new connections another certificate. Rejects where it cannot be used, and then the one before stays. */
export type Renew = (certificate: Certificate) => Promise<void>

/** The certificate that new connections get. It is read again when its files have changed, and when somebody says so. */
export class CertificateInUse {
  private certificate: Certificate
  private readonly log: Logger
  private renew: Renew = async () => {}
  private timer: NodeJS.Timeout | undefined = undefined
  private looking = false
  /** Of the files: when they were read last, whatever came of it, and when they were looked at last. */
  private readVersion: string
  private seenVersion: string
  /** One at a time. */
  private reloading: Promise<void> = Promise.resolve()

  private constructor(certificate: Certificate, version: string, log: Logger) {
    this.certificate = certificate
    this.readVersion = version
    this.seenVersion = version
    this.log = log
  }

  /** Throws `bad_config`. */
  static async open(files: TlsOptions, log: Logger): Promise<CertificateInUse> {
    const version = await versionOf(files)
    const opened = new CertificateInUse(await readCertificate(files), version, log)
    opened.warnOfTimes()
    return opened
  }

  get current(): Certificate {
    return this.certificate
  }

  /** From now on what changes is given to `renew`. */
  watch(renew: Renew): void {
    this.renew = renew
    this.timer = setInterval(() => void this.look(), LOOK_MS).unref()
  }

  stop(): void {
    clearInterval(this.timer)
  }

  /** Reads the files again. Rejects with `bad_config`, and then the certificate before stays. */
  reload(): Promise<void> {
    const reloaded = this.reloading.then(() => this.read())
    this.reloading = reloaded.catch(() => {})
    return reloaded
  }

  private async read(): Promise<void> {
    // Before they are read: what changes meanwhile is seen the next time.
    this.readVersion = await versionOf(this.certificate)
    const certificate = await readCertificate(this.certificate)
    await this.renew(certificate)
    this.certificate = certificate
    const { certFile, expiresAt } = certificate
    this.log.info({ certFile, expiresAt: new Date(expiresAt) }, 'new connections get the certificate that was read')
    this.warnOfTimes()
  }

  private async look(): Promise<void> {
    if (this.looking) return
    this.looking = true
    const version = await versionOf(this.certificate)
    // Whoever renews them writes one after the other: they are read when they have been still for a while.
    const still = version === this.seenVersion
    this.seenVersion = version
    if (still && version !== this.readVersion) {
      await this.reload().catch((error) => {
        this.log.error({ err: error }, 'the certificate cannot be read again: the one before stays')
      })
    }
    this.looking = false
  }

  /** Clients will refuse it, and yet it is their clock that counts. */
  private warnOfTimes(): void {
    const { certFile, validFrom, expiresAt } = this.certificate
    const now = Date.now()
    if (expiresAt <= now) this.log.warn({ certFile, expiresAt: new Date(expiresAt) }, 'the certificate has expired')
    if (validFrom > now) this.log.warn({ certFile, validFrom: new Date(validFrom) }, 'the certificate is not valid yet')
  }
}

/** A file that is not there has a version, too. */
async function versionOf({ certFile, keyFile }: TlsOptions): Promise<string> {
  const version = (path: string) => fileVersion(path).catch((error: NodeJS.ErrnoException) => String(error.code))
  return `${await version(certFile)}, ${await version(keyFile)}`
}
