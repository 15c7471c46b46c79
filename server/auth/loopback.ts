import { lookup } from 'node:dns/promises'
import { BlockList, isIP, isIPv6 } from 'node:net'

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8)
LOOPBACK.addAddress('::1', 'ipv6')

/** Whether a host to listen on is this machine's alone, whatever addresses its name has. */
export async function isLoopback(host: string): Promise<boolean> {
  // A name that is not known is the engine's to refuse.
  const addresses = await lookup(host, { all: true }).catch(() => [])
  return addresses.length > 0 && addresses.every(({ address }) => isLoopbackAddress(address))
}

/** Whether a name in a URL is this machine's in every browser, whatever a name server says. */
export function isLoopbackName(name: string): boolean {
  return name.toLowerCase() === 'localhost' || isLoopbackAddress(name.replace(/^\[(.*)\]$/, '$1'))
}

/** Headers that proxies add. Many proxies are configured to send only one of them, and the address that they listen for as the host. */
const OF_PROXIES = [
  'forwarded',
  'via',
  'x-real-ip',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
] as const

/**
 * Whether a request has come from this machine, on a hub that listens there alone. A page of any site can name a host of its
 * own, and have a name server say that this machine is that host (DNS rebinding); and a proxy on this machine lets in
 * whoever reaches it.
 */
export function isFromHere(headers: Readonly<Record<string, string>>): boolean {
  const { host } = headers
  if (OF_PROXIES.some((name) => headers[name] !== undefined)) return false
  return host === undefined || (URL.canParse(`http://${host}`) && isLoopbackName(new URL(`http://${host}`).hostname))
}

export function isLoopbackAddress(address: string): boolean {
  return isIP(address) !== 0 && LOOPBACK.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
}
