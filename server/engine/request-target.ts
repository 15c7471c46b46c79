/** A name, an IPv4 address or an IPv6 address in brackets, and optionally a port. */
const HOST = /^(?:[\w.~-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i
/** No control characters or spaces, no fragment, and no backslash in the path, which URL would turn into a slash. */
const ORIGIN_FORM = /^\/[!"$->@-[\]-~\u0080-\uffff]*(?:\?[!"$-~\u0080-\uffff]*)?$/
const ABSOLUTE_FORM = /^https?:\/\/([^/?\\#]*)(.*)$/i

/** Stands for the host of a request without one, as HTTP/1.0 allows. */
export const NO_HOST = 'hub'

/** The response text, with status 400, to a request that `urlOf` cannot read. */
export const MALFORMED = 'The request line or the Host header is malformed.'

/**
 * The URL of a request, from its request line and its Host header. Both engines read requests here, so that a peer cannot make one
 * header spill into another. Undefined if either is malformed. Never throws.
 *
 * @param target - as in the request line: `/path?query`, or a complete URL
 */
export function urlOf(secure: boolean, host: string | undefined, target: string): URL | undefined {
  const absolute = ABSOLUTE_FORM.exec(target)
  const authority = absolute?.[1] ?? (host || NO_HOST)
  const path = absolute ? absolute[2] || '/' : target
  if (!HOST.test(authority) || !HOST.test(host || NO_HOST) || !ORIGIN_FORM.test(path)) return undefined
  const text = `${secure ? 'https' : 'http'}://${authority}${path}`
  return URL.canParse(text) ? new URL(text) : undefined
}
