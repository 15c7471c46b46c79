import { quoted } from '../../shared/error-text.ts'
import { FanfareError } from '../../shared/errors.ts'
import { FORBIDDEN_KEY } from '../../shared/forbidden-keys.ts'

/** Headers of messages from query parameters, each `name=value`. Throws `bad_params`. */
export function headersOf(param: string, texts: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = Object.create(null)
  for (const text of texts) {
    const at = text.indexOf('=')
    if (at < 1) throw new FanfareError('bad_params', `${param} must be name=value (got ${quoted(text)}).`)
    const name = text.slice(0, at)
    if (name === FORBIDDEN_KEY)
      throw new FanfareError('forbidden_key', `A header must not be named ${FORBIDDEN_KEY} (in ${param}).`)
    if (Object.hasOwn(headers, name))
      throw new FanfareError('bad_params', `${param} gives the header ${quoted(name)} more than once.`)
    headers[name] = text.slice(at + 1)
  }
  return headers
}
