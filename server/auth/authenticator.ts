import { TokenBucket } from 'limiter'
import type { Logger } from 'pino'
import { z } from 'zod'
import { type Clock, realClock } from '../../shared/clock.ts'
import { FanfareError } from '../../shared/errors.ts'
import { textOf } from '../../shared/thrown.ts'
import { faultOf } from '../failure/schema-fault.ts'
import { Access, type KnownIdentity, type Verb } from './access.ts'
import { hashApiKey, isApiKey } from './api-key.ts'
import { type AuthConfig, isConfigured } from './auth-config.ts'
import type { Credentials, Identity, Permissions } from './identity.ts'
import type { JwtVerifier } from './jwt.ts'
import { isFromHere } from './loopback.ts'
import { fill, PermissionsConfig, union } from './permissions.ts'

/** Maximum number of refusals logged per second; the others are only counted. */
const LOGGED_PER_SECOND = 10

const IdentityShape = z.object({
  subject: z.string().min(1),
  claims: z.record(z.string(), z.unknown()).optional(),
  permissions: PermissionsConfig,
  expiresAt: z
    .union([z.number(), z.literal(Number.POSITIVE_INFINITY), z.date().transform((date) => date.getTime())])
    .optional(),
}) satisfies z.ZodType<Identity>

/** Authenticates clients and finds their permissions, for WebSocket and HTTP alike. */
export class Authenticator {
  private readonly config: AuthConfig
  private readonly log: Logger
  private readonly clock: Clock
  private readonly byHash = new Map<string, Access>()
  private readonly anonymous: Access
  private jwt: JwtVerifier | undefined = undefined
  private local = false
  private readonly logged = new TokenBucket({
    bucketSize: LOGGED_PER_SECOND,
    tokensPerInterval: LOGGED_PER_SECOND,
    interval: 'second',
  })
  private unlogged = 0
  private hasWarned = false

  constructor(config: AuthConfig, log: Logger, clock: Clock = realClock) {
    this.config = config
    this.log = log
    this.clock = clock
    this.logged.content = LOGGED_PER_SECOND
    const { roles, apiKeys } = config
    const anyone = roles['anonymous'] ? this.grants(undefined, ['anonymous']) : { permissions: { admin: true } }
    this.anonymous = this.access({ subject: 'anonymous', ...anyone }, {}, true)
    for (const { name, hash, permissions, role } of apiKeys) {
      this.byHash.set(hash, this.access({ subject: name, ...this.grants(permissions, role ? [role] : []) }))
    }
  }

  /** The time that decides whether a token has expired. */
  now(): number {
    return this.clock.now()
  }

  /** Whether only programs on this machine can reach the hub. */
  get isLocal(): boolean {
    return this.local
  }

  /** Reads the token keys. Throws `bad_config`. */
  async open(): Promise<void> {
    const { jwt } = this.config
    if (!jwt) return
    // Loaded only if there are tokens to verify.
    const { JwtVerifier } = await import('./jwt.ts')
    this.jwt = await JwtVerifier.open(jwt, process.env, this.log, this.clock)
  }

  /**
   * Records whether the hub listens only on this machine. What counts is the address that it listens on, not the addresses of
   * peers: behind a proxy on the same machine all clients come from 127.0.0.1.
   *
   * Throws `bad_config` if any client could do anything although the configuration does not say so.
   */
  listensOn(address: string, local: boolean): void {
    this.local = local
    if (local || this.config.anonymous === 'allow' || isConfigured(this.config)) return
    throw new FanfareError(
      'bad_config',
      `On ${address} other machines reach the hub, so authentication is required. Configure auth.jwt or auth.apiKeys, or let anyone in with auth.anonymous: "allow" (--anonymous allow).`,
    )
  }

  /**
   * Authenticates a client, synchronously if nothing has to be awaited. Throws or rejects with `unauthenticated`, `token_expired`,
   * `auth_unavailable`.
   */
  authenticate(given: Credentials): Access | Promise<Access> {
    const { authenticate } = this.config
    // A token read from a file ends with a line break. HTTP strips it; the hub does the same, so that both transports agree.
    const credentials = given.token === undefined ? given : { ...given, token: given.token.trim() }
    if (!authenticate) return this.byToken(credentials)
    return this.asked(authenticate, credentials)
  }

  /** An identity that the hub's own program vouches for. Throws `bad_option`. */
  identify(identity: Pick<Identity, 'subject' | 'permissions'>): Access {
    const { data, error } = IdentityShape.safeParse(identity)
    if (data) return this.access(data)
    const [problem] = error.issues
    throw new FanfareError(
      'bad_option',
      problem && `hub.connect: ${faultOf(problem, identity, { schema: IdentityShape, whole: 'The identity' })}`,
    )
  }

  private async asked(ask: NonNullable<AuthConfig['authenticate']>, credentials: Credentials): Promise<Access> {
    let identity: ReturnType<typeof identityIn> | undefined
    try {
      const answer = await ask(credentials)
      identity = answer === undefined ? undefined : identityIn(answer)
    } catch (error) {
      if (error instanceof FanfareError) throw error
      this.askFailed(error)
      throw new FanfareError('auth_unavailable')
    }
    if (!identity) return this.byToken(credentials)
    if (identity.expiresAt !== undefined && identity.expiresAt <= this.clock.now())
      throw new FanfareError('token_expired')
    return this.access(identity, identity.claims)
  }

  /** If the hub does not log, the program gets one warning on standard error. */
  private askFailed(error: unknown): void {
    this.log.error({ err: error }, 'authenticate failed')
    if (this.log.isLevelEnabled('error') || this.hasWarned) return
    this.hasWarned = true
    process.emitWarning(`authenticate failed: ${textOf(error)}`, { type: 'FanfareWarning' })
  }

  private byToken({ token, headers }: Credentials): Access | Promise<Access> {
    if (token === undefined) return this.withoutToken(headers)
    if (isApiKey(token)) {
      const access = this.byHash.get(hashApiKey(token))
      if (access) return access
      throw new FanfareError('unauthenticated', 'The API key is not one of those that the hub is configured with.')
    }
    if (this.jwt?.reads(token)) return this.byJwt(this.jwt, token)
    // Even if anonymous clients are admitted: a client that sends a token expects its permissions.
    throw new FanfareError('unauthenticated', this.whyNot(token))
  }

  private async byJwt(jwt: JwtVerifier, token: string): Promise<Access> {
    const { subject, expiresAt, toleranceMs, claims, permissions, roles } = await jwt.verify(token)
    const named = permissions || roles.length > 0 ? roles : ['default']
    return this.access({ subject, expiresAt, toleranceMs, ...this.grants(permissions, named) }, claims)
  }

  private whyNot(token: string): string {
    if (token === '') return 'The token is empty.'
    if (this.jwt) return 'The token is neither a JWT nor an API key.'
    return this.config.authenticate
      ? '`authenticate` of the hub did not accept the token.'
      : 'The hub has no key to verify this token with.'
  }

  private withoutToken(headers: Credentials['headers']): Access {
    const { anonymous } = this.config
    if (anonymous === 'allow') return this.anonymous
    if (anonymous !== 'loopback' || !this.local)
      throw new FanfareError('unauthenticated', 'Authentication is required, and no token was sent.')
    if (isFromHere(headers)) return this.anonymous
    throw new FanfareError(
      'unauthenticated',
      'No token was sent, and the request came through a proxy or was for another host.',
    )
  }

  /** The identity's own permissions together with those of its roles, as far as the configuration knows them. */
  private grants(own: Permissions | undefined, named: readonly string[]): Pick<KnownIdentity, 'permissions' | 'roles'> {
    const roles = named.filter((name) => Object.hasOwn(this.config.roles, name))
    const permissions = [own, ...roles.map((name) => this.config.roles[name])].filter((each) => each !== undefined)
    return { permissions: union(permissions), roles }
  }

  private access(identity: KnownIdentity, claims: Readonly<Record<string, unknown>> = {}, anonymous = false): Access {
    const { subject } = identity
    const permissions = fill(identity.permissions, { sub: subject, ...claims }, (pattern, claim) =>
      this.warn({ subject, pattern, claim }, 'a permission is ignored: its claim cannot be a word of a topic'),
    )
    const denied = (who: string, verb: Verb, target: string) => this.warn({ subject: who, verb, target }, 'forbidden')
    return new Access({ ...identity, permissions }, denied, anonymous)
  }

  /** A client that is refused over and over must not fill the log. */
  private warn(about: object, text: string): void {
    if (!this.logged.tryRemoveTokens(1)) {
      this.unlogged++
      return
    }
    this.log.warn({ ...about, ...(this.unlogged > 0 && { unlogged: this.unlogged }) }, text)
    this.unlogged = 0
  }
}

/** The identity returned by the program's `authenticate`, after a check. A mistake in it is a bug of the program. */
function identityIn(answer: unknown): z.infer<typeof IdentityShape> {
  const { data, error } = IdentityShape.safeParse(answer)
  if (data) return data
  const [problem] = error.issues
  throw new TypeError(
    `It returned a wrong identity: ${problem && faultOf(problem, answer, { schema: IdentityShape, whole: 'The identity' })}`,
  )
}
