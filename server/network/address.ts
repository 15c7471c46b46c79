import { isIP, isIPv4, isIPv6, SocketAddress } from 'node:net'

/** The address of clients in the hub's own process. */
export const IN_PROCESS = 'in this process'

/**
 * The canonical form of an address for logs, lists and limits, whichever engine it comes from: IPv6 shortened, and IPv4 as such
 * even on a dual-stack socket. Undefined if it is not an address.
 */
export function plainAddress(text: string): string | undefined {
  if (isIPv4(text)) return text
  if (isIP(text) === 0) return undefined
  // A zone (`fe80::1%eth0`) names a link of the machine that wrote it, and SocketAddress throws on it.
  const { address } = new SocketAddress({ address: text.replace(/%.*$/, ''), family: 'ipv6' })
  const inner = /^::ffff:(.*)$/.exec(address)?.[1]
  return inner !== undefined && isIPv4(inner) ? inner : address
}

/**
 * What limits per address count: the network of 64 bits for IPv6, because a single customer gets one (RFC 6177). Expects the form
 * of `plainAddress`.
 */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address
  const [left = [], right = []] = address.split('::').map((part) => part.split(':').filter((group) => group !== ''))
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0')
  return `${[...left, ...zeros, ...right].slice(0, 4).join(':')}::/64`
}
