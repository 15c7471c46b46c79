import { FanfareError } from '../../shared/errors.ts'

/** Headers of messages as a query has them, `name=value` each. Throws `bad_params`. */
export function headersOf(param: string, texts: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const text of texts) {
    const at = text.indexOf('=')
    if (at < 1) throw new FanfareError('bad_params', `${param}: ${JSON.stringify(text)} is not name=value`)
    const name = text.slice(0, at)
    if (Object.hasOwn(headers, name)) throw new FanfareError('bad_params', `${param}: ${name} is given more than once`)
    headers[name] = text.slice(at + 1)
  }
  return headers
}
