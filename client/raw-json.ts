import { sentence } from '../shared/error-text.ts'
import { FanfareError } from '../shared/fanfare-error.ts'
import { checkKeys } from '../shared/forbidden-keys.ts'
import { checkNesting } from '../shared/nesting.ts'
import { RawJson } from '../shared/raw-json.ts'
import { textOf } from '../shared/thrown.ts'

/**
 * JSON text as data: it is sent as it is, and every reader gets these bytes. For programs that forward what they got, and for numbers that
 * a double cannot hold.
 *
 * @throws {FanfareError} bad_data: it is not JSON; nested_too_deeply; forbidden_key
 * @example
 * ```
 * await client.publish('orders.new', rawJson('{"id":9007199254740993}'))
 * ```
 */
export function rawJson(text: string): RawJson {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new FanfareError('bad_data', `The text is not JSON: ${sentence(textOf(error))}`)
  }
  checkNesting(value)
  checkKeys(text, value)
  return new RawJson(text)
}
