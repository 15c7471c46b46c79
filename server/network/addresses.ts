import { isIPv6 } from 'node:net'

/** All addresses of the machine: the one that it reaches itself by is shown in their place. */
const REACHED_AT: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' }

/** Where a hub is found: its WebSocket endpoint and its dashboard. */
export interface Addresses {
  readonly url: string
  readonly dashboard: string
}

/** The URLs of a hub that listens at this host and port. */
export function addressesOf(host: string, port: number, path: string, tls: boolean): Addresses {
  const place = placeOf(REACHED_AT[host] ?? host, port)
  const s = tls ? 's' : ''
  return { url: `ws${s}://${place}${path === '/' ? '' : path}`, dashboard: `http${s}://${place}/` }
}

/** Host and port, as URLs have them. */
export function placeOf(host: string, port: number): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`
}
