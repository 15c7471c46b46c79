import { isIPv6 } from 'node:net'

/** Wildcard addresses, and the address shown in their place, which reaches the hub on this machine. */
const REACHED_AT: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' }

/** The URLs of a hub: its WebSocket endpoint and its dashboard. */
export interface Addresses {
  readonly url: string
  readonly dashboard: string
}

/** The URLs of a hub that listens on this host and port. */
export function addressesOf(host: string, port: number, path: string, tls: boolean): Addresses {
  const place = placeOf(REACHED_AT[host] ?? host, port)
  const s = tls ? 's' : ''
  return { url: `ws${s}://${place}${path === '/' ? '' : path}`, dashboard: `http${s}://${place}/` }
}

/** Host and port in the form of a URL. */
export function placeOf(host: string, port: number): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`
}
