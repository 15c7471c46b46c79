import { FanfareError } from '../../shared/errors.ts'

/** Headers of messages as a query has them, `name=value` each. Throws `bad_params`. */
export function headersOf(param: string, texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf('=')
      if (at < 1) throw new FanfareError('bad_params', `${param}: ${JSON.stringify(text)} is not name=value`)
      return [text.slice(0, at), text.slice(at + 1)]
    }),
  )
}
