import { lookup } from 'node:dns/promises'
import { BlockList, isIP, isIPv6 } from 'node:net'

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8)
LOOPBACK.addAddress('::1', 'ipv6')

/** Whether a host to listen on has only loopback addresses. */
export async function isLoopback(host: string): Promise<boolean> {
  // The engine reports an unknown host name.
  const addresses = await lookup(host, { all: true }).catch(() => [])
  return addresses.length > 0 && addresses.every(({ address }) => isLoopbackAddress(address))
}

/** Whether browsers always resolve a host name to this machine, whatever DNS says. */
export function isLoopbackName(name: string): boolean {
  return name.toLowerCase() === 'localhost' || isLoopbackAddress(name.replace(/^\[(.*)\]$/, '$1'))
}

/** Headers that proxies add. Many proxies send only one of them, and put the address that they listen on into the host header. */
const OF_PROXIES = [
  'forwarded',
  'via',
  'x-real-ip',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
] as const

/**
 * Whether a request comes from this machine, on a hub that listens only there. A page of any site can use a host name of its own
 * that DNS resolves to this machine (DNS rebinding), and a proxy on this machine admits anyone who can reach it.
 */
export function isFromHere(headers: Readonly<Record<string, string>>): boolean {
  const { host } = headers
  if (OF_PROXIES.some((name) => headers[name] !== undefined)) return false
  return host === undefined || (URL.canParse(`http://${host}`) && isLoopbackName(new URL(`http://${host}`).hostname))
}

export function isLoopbackAddress(address: string): boolean {
  return isIP(address) !== 0 && LOOPBACK.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
}
