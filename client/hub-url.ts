import { quoted } from '../shared/error-text.ts'
import { FanfareError } from '../shared/fanfare-error.ts'
import { textOf } from '../shared/thrown.ts'

// Not by the properties of `URL`, which React Native lacks: scheme with its `s`, host, and the rest without a fragment.
const HUB_URL = /^(?:ws|http)(s?):\/\/([^/?#\s\\]+)\/*([^#\s]*)/i

/**
 * The address of a hub for a WebSocket: `http:` becomes `ws:`, slashes before the path become one, and in a page an address that begins
 * with `/` is of the page's own host. Throws `bad_url`, `token_in_url`.
 */
export function hubUrl(given: unknown): string {
  const { location } = globalThis as { location?: { readonly protocol: string; readonly host: string } }
  const text = textOf(given, 'href')
  const full = /^\/(?!\/)/.test(text) && location ? `${location.protocol}//${location.host}${text}` : text
  const [, s = '', host, rest = ''] = HUB_URL.exec(full) ?? []
  if (/[?&](access_)?token=/.test(rest)) throw new FanfareError('token_in_url')
  try {
    const url = host && `ws${s.toLowerCase()}://${host}/${rest}`
    // An undefined one is none, and neither is one whose host or port breaks the grammar.
    if (globalThis.URL) new URL(url as string)
    return url as string
  } catch {
    throw new FanfareError('bad_url', `${quoted(text)} is not the URL of a hub. Use ws://host or wss://host.`)
  }
}

/** The address as people and logs may see it: without the user, the password and the query, which may be secrets. */
export function shownUrl(url: string): string {
  return url.replace(/\/?([?#].*)?$/, '').replace(/\/\/[^/]*@/, '//')
}
