import { FanfareError } from '../../shared/errors.ts'
import { FORBIDDEN_KEY } from '../../shared/forbidden-keys.ts'

/** Headers of messages as a query has them, `name=value` each. Throws `bad_params`. */
export function headersOf(param: string, texts: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = Object.create(null)
  for (const text of texts) {
    const at = text.indexOf('=')
    if (at < 1) throw new FanfareError('bad_params', `${param}: ${JSON.stringify(text.slice(0, 40))} is not name=value`)
    const name = text.slice(0, at)
    if (name === FORBIDDEN_KEY) throw new FanfareError('forbidden_key', `${param}: it has such a name`)
    if (Object.hasOwn(headers, name))
      throw new FanfareError('bad_params', `${param}: ${JSON.stringify(name.slice(0, 40))} is given more than once`)
    headers[name] = text.slice(at + 1)
  }
  return headers
}
