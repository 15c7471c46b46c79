import { FanfareError } from '../../shared/errors.ts'
import { SUBPROTOCOL, TOKEN_PROTOCOL, type WelcomeFrame } from '../../shared/frames.ts'
import { Access } from '../auth/access.ts'
import type { Authenticator } from '../auth/authenticator.ts'
import type { Credentials } from '../auth/identity.ts'
import type { UpgradeRequest } from '../engine/engine.ts'
import type { ConnectionContext } from './context.ts'

/**
 * Bytes and frames that are kept while it is not known whose they are. Both: what is held has been parsed, and an empty frame takes
 * many times its bytes.
 */
const HELD_BYTES = 512 * 1024
const HELD_FRAMES = 2000

/** From a connection's first frame until it is known who it is. What comes meanwhile is held, in order. */
export class Login {
  private readonly credentials: Credentials | undefined = undefined
  private readonly known: Access | undefined = undefined
  /** It is being found out. */
  waiting = false
  readonly held: unknown[] = []
  heldBytes = 0

  /** The request for the connection, or who it is where that is known already. */
  constructor(who: UpgradeRequest | Access) {
    if (who instanceof Access) {
      this.known = who
      return
    }
    const { remoteAddress, headers, protocols } = who
    const token = protocols.find((name) => name.startsWith(TOKEN_PROTOCOL))?.slice(TOKEN_PROTOCOL.length)
    this.credentials = { token, address: remoteAddress, origin: headers['origin'], headers }
  }

  /** Throws or rejects with why it is refused. */
  start(authenticator: Authenticator, token: string | undefined): Access | Promise<Access> {
    if (!this.credentials) return this.known as Access
    const access = authenticator.authenticate(token === undefined ? this.credentials : { ...this.credentials, token })
    this.waiting = access instanceof Promise
    return access
  }

  /** Throws `auth_backlog`. */
  arrived(bytes: number): void {
    if (!this.waiting) return
    this.heldBytes += bytes
    if (this.heldBytes > HELD_BYTES) throw new FanfareError('auth_backlog', `It is more than ${HELD_BYTES} bytes`)
  }

  /** Throws `auth_backlog`. */
  hold(value: unknown): void {
    if (this.held.length >= HELD_FRAMES) throw new FanfareError('auth_backlog', `It is more than ${HELD_FRAMES} frames`)
    this.held.push(value)
  }

  /** Its connection has ended, and whoever finds out who it is may take long. */
  discard(): void {
    this.held.length = 0
  }
}

/** What it is told when it is known. */
export function welcomeFrame(
  connection: string,
  access: Access,
  { config, authenticator, clock }: ConnectionContext,
): WelcomeFrame {
  const { window, pingIntervalMs, frameBytes, subscriptions, calls } = config
  return {
    type: 'welcome',
    protocol: SUBPROTOCOL,
    connection,
    window,
    pingIntervalMs,
    limits: { frameBytes, subscriptions, calls },
    now: clock.now(),
    ...access.about(authenticator.now()),
  }
}
