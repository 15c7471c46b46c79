import { BlockList, isIP, isIPv6 } from 'node:net'
import { isLoopbackAddress } from '../auth/loopback.ts'
import { plainAddress } from './address.ts'

/** Returns a header of a request, by its name in lower case. */
export type HeaderOf = (name: string) => string | undefined

/** The client of a request and what it requested, seen past trusted proxies. */
export interface RequestClient {
  readonly address: string
  /** Includes the port if there is one. */
  readonly host: string | undefined
  /** Whether the client used TLS, as far as the hub knows. */
  readonly secure: boolean
}

/**
 * The address of all clients whose proxy names them in a form that the hub cannot read. They share one set of limits, so that
 * hiding an address never avoids them.
 */
const UNKNOWN = 'unknown'

/** Adds an address, or a network such as `10.0.0.0/8`, to a list; false if it is neither. */
function add(list: BlockList, network: string): boolean {
  const [address = '', bits, ...rest] = network.split('/')
  if (isIP(address) === 0 || rest.length > 0 || (bits !== undefined && !/^\d+$/.test(bits))) return false
  const family = isIPv6(address) ? 'ipv6' : 'ipv4'
  if (Number(bits ?? 0) > (family === 'ipv6' ? 128 : 32)) return false
  if (bits === undefined) list.addAddress(address, family)
  else list.addSubnet(address, Number(bits), family)
  return true
}

export function isNetwork(text: string): boolean {
  return add(new BlockList(), text)
}

/** The proxies in front of the hub. Their statements about clients are trusted; those of other peers are not. */
export class Proxies {
  private readonly trusted = new BlockList()
  private readonly none: boolean

  /** `networks` must satisfy `isNetwork`. */
  constructor(networks: readonly string[]) {
    this.none = networks.length === 0
    for (const network of networks) add(this.trusted, network)
  }

  /** `peer` is the other end of the socket, `tls` whether that socket uses TLS. */
  clientOf(peer: string, headerOf: HeaderOf, tls: boolean): RequestClient {
    const address = plainAddress(peer) ?? peer
    const direct = { address, host: headerOf('host'), secure: tls }
    if (this.none || !this.trusts(address)) return direct
    const scheme = last(headerOf('x-forwarded-proto'))
    return {
      address: this.behind(address, headerOf('x-forwarded-for')),
      host: last(headerOf('x-forwarded-host')) ?? direct.host,
      secure: scheme === undefined ? tls : scheme.toLowerCase() === 'https',
    }
  }

  /** The nearest hop that is not one of our proxies. Entries further left can be forged. */
  private behind(proxy: string, forwarded: string | undefined): string {
    if (forwarded === undefined) return proxy
    let hop = proxy
    for (const text of forwarded.split(',').toReversed()) {
      const address = hopAddress(text)
      // A proxy has hidden the address (RFC 7239 has `unknown` and `_name`), or it is forged.
      if (address === undefined) return UNKNOWN
      // The loopback address of another machine is not this machine's, which limits do not apply to.
      if (isLoopbackAddress(address) && !isLoopbackAddress(hop)) return hop
      hop = address
      if (!this.trusts(hop)) return hop
    }
    return hop
  }

  /** Whether an address is that of a trusted proxy. */
  trusts(address: string): boolean {
    return isIP(address) !== 0 && this.trusted.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
  }
}

/** The address of one hop, which may come in brackets, in quotes and with a port. Undefined if it is not an address. */
function hopAddress(text: string): string | undefined {
  const plain = text.trim().replace(/^"(.*)"$/, '$1')
  const inBrackets = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(plain)?.[1]
  if (inBrackets !== undefined) return isIPv6(inBrackets) ? plainAddress(inBrackets) : undefined
  return plainAddress(plain) ?? plainAddress(/^([\d.]+):\d{1,5}$/.exec(plain)?.[1] ?? '')
}

/** The entry of the nearest proxy. */
function last(list: string | undefined): string | undefined {
  return list?.split(',').at(-1)?.trim() || undefined
}
