import type { Logger } from 'pino'
import { fileVersion } from '../auth/file-version.ts'
import { type Certificate, readCertificate } from './certificate.ts'
import type { TlsOptions } from './tls-config.ts'

/** How often the files are checked, in milliseconds. */
const LOOK_MS = 500

/** Uses another certificate for new connections. Rejects if it cannot be used; the previous one then stays. */
export type Renew = (certificate: Certificate) => Promise<void>

/** The certificate for new connections. It is reloaded when its files change, and on request. */
export class CertificateInUse {
  private certificate: Certificate
  private readonly log: Logger
  private renew: Renew = async () => {}
  private timer: NodeJS.Timeout | undefined = undefined
  private looking = false
  /** Versions of the files: at the last read, whether or not it succeeded, and at the last check. */
  private readVersion: string
  private seenVersion: string
  /** Reloads run one after the other. */
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

  /** From now on `renew` gets each new certificate. */
  watch(renew: Renew): void {
    this.renew = renew
    this.timer = setInterval(() => void this.look(), LOOK_MS).unref()
  }

  stop(): void {
    clearInterval(this.timer)
  }

  /** Reads the files again. Rejects with `bad_config`; the previous certificate then stays. */
  reload(): Promise<void> {
    const reloaded = this.reloading.then(() => this.read())
    this.reloading = reloaded.catch(() => {})
    return reloaded
  }

  private async read(): Promise<void> {
    // Before the files are read, so that a change in the meantime is noticed next time.
    this.readVersion = await versionOf(this.certificate)
    const certificate = await readCertificate(this.certificate)
    await this.renew(certificate)
    this.certificate = certificate
    const { certFile, expiresAt } = certificate
    this.log.info({ certFile, expiresAt: new Date(expiresAt) }, 'certificate reloaded: new connections use it')
    this.warnOfTimes()
  }

  private async look(): Promise<void> {
    if (this.looking) return
    this.looking = true
    const version = await versionOf(this.certificate)
    // Renewal tools write one file after the other: the files are read once they have stopped changing.
    const still = version === this.seenVersion
    this.seenVersion = version
    if (still && version !== this.readVersion) {
      await this.reload().catch((error) => {
        this.log.error({ err: error }, 'the certificate cannot be reloaded: keeping the previous one')
      })
    }
    this.looking = false
  }

  /** A warning only: clients will refuse the certificate, but they decide by their own clock. */
  private warnOfTimes(): void {
    const { certFile, validFrom, expiresAt } = this.certificate
    const now = Date.now()
    if (expiresAt <= now) this.log.warn({ certFile, expiresAt: new Date(expiresAt) }, 'the certificate has expired')
    if (validFrom > now) this.log.warn({ certFile, validFrom: new Date(validFrom) }, 'the certificate is not valid yet')
  }
}

/** A missing file has a version too. */
async function versionOf({ certFile, keyFile }: TlsOptions): Promise<string> {
  const version = (path: string) => fileVersion(path).catch((error: NodeJS.ErrnoException) => String(error.code))
  return `${await version(certFile)}, ${await version(keyFile)}`
}
