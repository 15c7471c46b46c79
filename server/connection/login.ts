import type { Clock } from '../../shared/clock.ts'
import { FanfareError } from '../../shared/errors.ts'
import { type Frame, SUBPROTOCOL, TOKEN_PROTOCOL, type WelcomeFrame } from '../../shared/frames.ts'
import { parseFrame } from '../../shared/parse-frame.ts'
import { Access } from '../auth/access.ts'
import type { Authenticator } from '../auth/authenticator.ts'
import type { Credentials } from '../auth/identity.ts'
import type { UpgradeRequest } from '../engine/engine.ts'
import { costsItself } from './refusal.ts'

/**
 * Maximum bytes and frames held until the client is authenticated. Both are limited, because held frames are parsed, and an empty
 * frame takes many times its bytes.
 */
const HELD_BYTES = 512 * 1024
const HELD_FRAMES = 2000

/** Authentication of a connection, from its first frame until the identity is known. Frames that arrive in the meantime are held in order. */
export class Login {
  private readonly credentials: Credentials | undefined = undefined
  private readonly known: Access | undefined = undefined
  /** Whether authentication is in progress. */
  waiting = false
  readonly held: unknown[] = []
  heldBytes = 0

  /** The request for the connection, or its identity if that is already known. */
  constructor(who: UpgradeRequest | Access) {
    if (who instanceof Access) {
      this.known = who
      return
    }
    const { remoteAddress, headers, protocols } = who
    const token = protocols.find((name) => name.startsWith(TOKEN_PROTOCOL))?.slice(TOKEN_PROTOCOL.length)
    this.credentials = { token, address: remoteAddress, origin: headers['origin'], headers }
  }

  /** Authenticates the client, with the token of its hello if that has one. Calls one of the two functions, now or later. */
  enter(
    authenticator: Authenticator,
    token: string | undefined,
    entered: (access: Access) => void,
    refused: (error: unknown) => void,
  ): void {
    if (this.known) return entered(this.known)
    const credentials = this.credentials as Credentials
    let access: Access | Promise<Access>
    try {
      access = authenticator.authenticate(token === undefined ? credentials : { ...credentials, token })
    } catch (error) {
      return refused(error)
    }
    this.waiting = access instanceof Promise
    if (access instanceof Promise) access.then(entered, refused)
    else entered(access)
  }

  /** Throws `auth_backlog`. */
  arrived(bytes: number): void {
    if (!this.waiting) return
    this.heldBytes += bytes
    if (this.heldBytes > HELD_BYTES)
      throw new FanfareError(
        'auth_backlog',
        `More than ${HELD_BYTES} bytes were sent before authentication finished. Wait for the welcome.`,
      )
  }

  /** Throws `auth_backlog`. */
  hold(value: unknown): void {
    if (this.held.length >= HELD_FRAMES)
      throw new FanfareError(
        'auth_backlog',
        `More than ${HELD_FRAMES} frames were sent before authentication finished. Wait for the welcome.`,
      )
    this.held.push(value)
  }

  /**
   * The first frame. If it is refused by itself, the refusal comes after the hello that the frame stands for, so that the welcome
   * is the first answer. Throws errors that cost the connection.
   */
  firstFrame(value: unknown): Frame {
    try {
      return parseFrame(value)
    } catch (error) {
      if (!(error instanceof FanfareError && costsItself(error, value))) throw error
      this.hold(value)
      return { type: 'hello' }
    }
  }

  /** The connection has ended, although authentication may still take long. */
  discard(): void {
    this.held.length = 0
  }
}

/** What the hub reports about itself to each admitted client. */
export interface WelcomeParts extends Pick<WelcomeFrame, 'window' | 'pingIntervalMs' | 'limits' | 'node'> {
  readonly authenticator: Authenticator
  readonly clock: Clock
}

/** The welcome of an authenticated client. */
export function welcomeFrame(
  connection: string,
  access: Access,
  { window, pingIntervalMs, limits, node, authenticator, clock }: WelcomeParts,
): WelcomeFrame {
  return {
    type: 'welcome',
    protocol: SUBPROTOCOL,
    connection,
    window,
    pingIntervalMs,
    limits,
    now: clock.now(),
    ...(node !== undefined && { node }),
    ...access.about(authenticator.now()),
  }
}
