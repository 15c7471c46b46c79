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

/** Options of `hub.connect`: those of a client that no network needs, and who the client is. */
export interface InProcessOptions<Topics extends object = Record<string, unknown>>
  extends Omit<ClientOptions<Topics>, 'WebSocket' | 'clock' | 'token' | 'getToken'> {
  /**
   * Who the client is: its publishes, log lines and place in the dashboard have this name.
   * @default 'in-process'
   */
  readonly subject?: string | undefined
  /**
   * What the client may do. What is not named is not permitted.
   * @default { admin: true }
   */
  readonly permissions?: Permissions | undefined
}

/** Who a client is of which the program says no more. */
export function ownIdentity({
  subject = 'in-process',
  permissions = { admin: true },
}: Pick<InProcessOptions, 'subject' | 'permissions'>): Pick<Identity, 'subject' | 'permissions'> {
  return { subject, permissions }
}

/** Only shown where a client names its hub. */
const URL = 'ws://in-process/'

/** What the clients need of their hub. */
interface Home {
  readonly frameBytes: number
  readonly clock: Clock
  /** Opens what the broker keeps, once. Rejects with why the hub has nothing to offer. */
  start(): Promise<void>
  /** Throws `bad_option`. */
  identify(identity: Pick<Identity, 'subject' | 'permissions'>): Access
  /** Undefined: the hub takes no connection any more. */
  open(socket: EngineSocket, access: Access): SocketHandlers | undefined
}

const { WebSocket: _, clock: __, token: ___, getToken: ____, ...OF_ANY_CLIENT } = CLIENT_RULES
const RULES: Rules<InProcessOptions> = { ...OF_ANY_CLIENT, subject: ANY, permissions: ANY }

/** Clients in the hub's own process: connections like all others, without a socket, whose identity the program chooses. */
export class InProcess {
  private readonly home: Home
  private readonly gone = new AbortController()

  constructor(home: Home) {
    this.home = home
    // One for each client, and any number of clients.
    setMaxListeners(0, this.gone.signal)
  }

  /** Throws `bad_option`, `shutting_down`, and why the hub could not open what it keeps. */
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

  /** No client gets a connection from now on. Those that have one get what they are owed, and end with it. */
  end(why: FanfareError): void {
    // A hub that never opened is a failure.
    const error = why.code === 'shutting_down' ? undefined : why
    this.gone.abort({ error, why } satisfies HubEnd)
  }
}
