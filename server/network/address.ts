import { isIP, isIPv4, isIPv6, SocketAddress } from 'node:net'

/** What connections of clients in the hub's own process have for an address. */
export const IN_PROCESS = 'in this process'

/**
 * An address in the one way that logs, lists and limits have it, whichever engine it comes from: IPv6 shortened, and IPv4
 * as such also on a socket for both. Undefined where it is none.
 */
export function plainAddress(text: string): string | undefined {
  if (isIPv4(text)) return text
  if (isIP(text) === 0) return undefined
  // A zone (`fe80::1%eth0`) names a link of the machine that wrote it, and SocketAddress throws at it.
  const { address } = new SocketAddress({ address: text.replace(/%.*$/, ''), family: 'ipv6' })
  const inner = /^::ffff:(.*)$/.exec(address)?.[1]
  return inner !== undefined && isIPv4(inner) ? inner : address
}

/**
 * What limits for an address count: of IPv6 the network of 64 bits, since that is what a single customer is given (RFC 6177).
 * The address is one of `plainAddress`.
 */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address
  const [left = [], right = []] = address.split('::').map((part) => part.split(':').filter((group) => group !== ''))
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0')
  return `${[...left, ...zeros, ...right].slice(0, 4).join(':')}::/64`
}
