import { type ErrorCode, FanfareError } from '../../shared/errors.ts'
import { SUBPROTOCOL, TOKEN_PROTOCOL } from '../../shared/frames.ts'
import { hasToken } from '../auth/token-in-url.ts'
import type { Refused, UpgradeRequest } from '../engine/engine.ts'
import type { Admission } from '../limit/admission.ts'
import type { Refusals } from '../limit/refusals.ts'
import type { Traffic } from '../monitor/traffic.ts'
import type { Origins } from '../network/origins.ts'
import type { Proxies } from '../network/proxies.ts'

/** HTTP status codes of refusals other than 400. */
const STATUSES: Partial<Record<ErrorCode, number>> = {
  forbidden_origin: 403,
  address_limit: 429,
  hub_full: 503,
  shutting_down: 503,
}
/** Temporary refusals: the client may retry after a second. */
const TEMPORARY: readonly ErrorCode[] = ['address_limit', 'hub_full', 'shutting_down']

/** The option that an operator has to set so that pages from an origin may use the hub. */
function hintFor(origin = ''): string {
  return `to allow pages from this origin: "allowedOrigins": [${JSON.stringify(origin)}] or --allowed-origins ${origin}`
}

/** Decides whether a request may become a WebSocket, and reports refusals. */
export class UpgradeCheck {
  private readonly proxies: Proxies
  private readonly origins: Origins
  private readonly admission: Admission
  private readonly traffic: Traffic
  private readonly refusals: Refusals

  constructor(proxies: Proxies, origins: Origins, admission: Admission, traffic: Traffic, refusals: Refusals) {
    this.proxies = proxies
    this.origins = origins
    this.admission = admission
    this.traffic = traffic
    this.refusals = refusals
  }

  check(request: UpgradeRequest, isReady: boolean): true | Refused {
    const refusal = isReady ? this.refusalOf(request) : new FanfareError('shutting_down')
    if (!refusal) return true
    const { code, message } = refusal
    const isTemporary = TEMPORARY.includes(code)
    // Limits report refusals themselves, and a hub that is shutting down refuses all clients.
    if (isTemporary) this.traffic.refused(code)
    else this.report(code, request.headers['origin'])
    const retryAfter = isTemporary ? 1 : undefined
    return { status: STATUSES[code] ?? 400, message: `${code}: ${message}`, retryAfter }
  }

  report(code: ErrorCode, origin: string | undefined): void {
    this.traffic.refused(code)
    const said = origin?.slice(0, 200)
    this.refusals.report(code, { origin: said, ...(code === 'forbidden_origin' && { hint: hintFor(said) }) })
  }

  private refusalOf({ protocols, query, headers, remoteAddress, secure }: UpgradeRequest): FanfareError | undefined {
    if (hasToken(query)) return new FanfareError('token_in_url')
    const { origin } = headers
    const client = this.proxies.clientOf(remoteAddress, (name) => headers[name], secure)
    if (origin !== undefined && !this.origins.allows(origin, client)) {
      return new FanfareError(
        'forbidden_origin',
        `Origin ${origin.slice(0, 200)} is not allowed. Add it to allowedOrigins.`,
      )
    }
    if (protocols.length === 0 || protocols.includes(SUBPROTOCOL)) return this.admission.refusalOf(client.address)
    const offered = protocols.filter((name) => !name.startsWith(TOKEN_PROTOCOL))
    return new FanfareError(
      'bad_subprotocol',
      `The hub speaks the subprotocol fanfare.v1 (offered: ${offered.join(', ').slice(0, 100)}). Offer it, or none.`,
    )
  }
}
