import { setMaxListeners } from 'node:events'
import { setImmediate } from 'node:timers'
import { Client } from '../../client/client.ts'
import { CLIENT_RULES, type ClientOptions } from '../../client/client-options.ts'
import '../../client/unproxied.ts'
import { ANY, checkOptions, type Rules } from '../../client/options.ts'
import type { HubEnd } from '../../client/session.ts'
import type { Clock } from '../../shared/clock.ts'
import type { FanfareError } from '../../shared/errors.ts'
import type { Access } from '../auth/access.ts'
import type { Identity, Permissions } from '../auth/identity.ts'
import type { EngineSocket, SocketHandlers } from '../engine/engine.ts'
import { webSocketOn } from './memory-socket.ts'

export type { Client }

/** Options of `hub.connect`: those of a client that do not concern a network, and the client's identity. */
export interface InProcessOptions<Topics extends object = Record<string, unknown>>
  extends Omit<ClientOptions<Topics>, 'WebSocket' | 'clock' | 'token' | 'getToken'> {
  /**
   * Name of the client in its publishes, in the log and in the dashboard.
   * @default 'in-process'
   */
  readonly subject?: string | undefined
  /**
   * Permissions of the client. Anything not listed is not permitted.
   * @default { admin: true }
   */
  readonly permissions?: Permissions | undefined
}

/** The identity of a client, with defaults for what the program leaves out. */
export function ownIdentity({
  subject = 'in-process',
  permissions = { admin: true },
}: Pick<InProcessOptions, 'subject' | 'permissions'>): Pick<Identity, 'subject' | 'permissions'> {
  return { subject, permissions }
}

/** Shown only in places where a client names its hub. */
const URL = 'ws://in-process/'

/** What the clients need from their hub. */
interface Home {
  readonly frameBytes: number
  readonly clock: Clock
  /** Opens the broker, once. Rejects with the error of a hub that cannot start. */
  start(): Promise<void>
  /** Throws `bad_option`. */
  identify(identity: Pick<Identity, 'subject' | 'permissions'>): Access
  /** Returns undefined if the hub accepts no more connections. */
  open(socket: EngineSocket, access: Access): SocketHandlers | undefined
}

const { WebSocket: _, clock: __, token: ___, getToken: ____, ...OF_ANY_CLIENT } = CLIENT_RULES
const RULES: Rules<InProcessOptions> = { ...OF_ANY_CLIENT, subject: ANY, permissions: ANY }

/** Clients in the hub's own process: ordinary connections, but without a socket, and with an identity that the program chooses. */
export class InProcess {
  private readonly home: Home
  private readonly gone = new AbortController()

  constructor(home: Home) {
    this.home = home
    // One listener per client, and any number of clients.
    setMaxListeners(0, this.gone.signal)
  }

  /** Throws `bad_option`, `shutting_down`, and the error of a hub that could not open its broker. */
  connect<Topics extends object = Record<string, unknown>>(options: InProcessOptions<Topics>): Client<Topics> {
    const { home } = this
    const { signal } = this.gone
    if (signal.aborted) throw (signal.reason as HubEnd).why
    checkOptions('connect', options, RULES)
    const { subject, permissions, ...rest } = options
    const access = home.identify(ownIdentity({ subject, permissions }))
    const started = home.start().catch((error: FanfareError) => this.end(error))
    const WebSocket = webSocketOn({
      frameBytes: home.frameBytes,
      later: (task) => setImmediate(task),
      ready: () => started,
      open: (socket) => home.open(socket, access),
    })
    return new Client<Topics>(URL, WebSocket, { ...rest, clock: home.clock }, signal).open()
  }

  /** From now on no client gets a connection. Connected clients get what they are owed, and end. */
  end(why: FanfareError): void {
    // A hub that never opened is a failure.
    const error = why.code === 'shutting_down' ? undefined : why
    this.gone.abort({ error, why } satisfies HubEnd)
  }
}
