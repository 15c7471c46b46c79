import { isIP, isIPv4, SocketAddress } from 'node:net'

/**
 * An address in the one way that logs, lists and limits have it, whichever engine it comes from: IPv6 shortened, and IPv4
 * as such also on a socket for both. Undefined where it is none.
 */
export function plainAddress(text: string): string | undefined {
  if (isIPv4(text)) return text
  if (isIP(text) === 0) return undefined
  const { address } = new SocketAddress({ address: text, family: 'ipv6' })
  const inner = /^::ffff:(.*)$/.exec(address)?.[1]
  return inner !== undefined && isIPv4(inner) ? inner : address
}
