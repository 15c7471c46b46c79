import { BlockList, isIP, isIPv6 } from 'node:net'
import { plainAddress } from './address.ts'

/** The headers of a request, by names in lower case. */
export type HeaderOf = (name: string) => string | undefined

/** Who asks, and what he asked for: past the proxies that are trusted. */
export interface Client {
  readonly address: string
  /** With a port, where it has one. */
  readonly host: string | undefined
  /** It came over TLS, as far as the hub knows. */
  readonly secure: boolean
}

/** Adds an address, or a network as `10.0.0.0/8`, to a list; false where it is neither. */
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

/** The proxies in front of the hub: what they say of a client is believed, and what anybody else says is not. */
export class Proxies {
  private readonly trusted = new BlockList()
  private readonly none: boolean

  /** `networks` as `isNetwork` has them. */
  constructor(networks: readonly string[]) {
    this.none = networks.length === 0
    for (const network of networks) add(this.trusted, network)
  }

  /** `peer` is at the other end of the socket, with which the hub speaks TLS, or not. */
  clientOf(peer: string, headerOf: HeaderOf, tls: boolean): Client {
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

  /** The nearest hop that is no proxy of ours: what stands further left anybody can have written. */
  private behind(proxy: string, forwarded: string | undefined): string {
    let hop = proxy
    for (const text of (forwarded ?? '').split(',').toReversed()) {
      const address = plainAddress(text.trim())
      if (address === undefined) return hop
      hop = address
      if (!this.trusts(hop)) return hop
    }
    return hop
  }

  private trusts(address: string): boolean {
    return isIP(address) !== 0 && this.trusted.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
  }
}

/** What the nearest proxy said. */
function last(list: string | undefined): string | undefined {
  return list?.split(',').at(-1)?.trim() || undefined
}
