import { FORBIDDEN_KEY } from './forbidden-keys.ts'
import { POLICIES } from './frame-parts.ts'
import {
  broken,
  isFields,
  matching,
  NUMBER,
  optional,
  type Rule,
  type Rules,
  textUpTo,
  unknownField,
  whole,
} from './rules.ts'

// Rules for the fields that an application fills. A client refuses anything else as an option, the hub as a frame.

/** A year: longer waits are mistakes of unit. */
export const MAX_DELAY_MS = 366 * 86_400_000

/** Maximum `last` of a subscription: the hub holds the offset of each of these messages until it is read. */
export const MAX_LAST = 10_000

/** Maximum headers of a message, or of a filter. */
export const MAX_HEADERS = 32
/** Maximum characters of all names and values: of the headers of a message, and of a filter, which a connection holds many of. */
const MAX_HEADERS_LENGTH = 8192
export const MAX_FILTER_LENGTH = 2048

/** Maximum characters of a token. Tokens of servers that put whole groups of users into one stay below. */
export const MAX_TOKEN = 16_384

export const CLIENT_NAME = textUpTo(200)
export const TOKEN = textUpTo(MAX_TOKEN)

// No characters that JSON escapes, so that an id goes into a frame unchanged.
export const ID = matching(/^[\w.:~-]{1,64}$/, '1 to 64 letters, digits and _ . : ~ -')
export const KEY = textUpTo(255)
export const PRIORITY = whole(0, 9)
/** Headers of a message. */
export const HEADERS = headersUpTo(MAX_HEADERS_LENGTH)

/** The name of a stream or queue. */
export const NAME = matching(/^[\w.-]{1,64}$/, '1 to 64 letters, digits and _ . -')
// Cursors of a subject begin with its word, see `topicWord`. The forbidden key would be a key in the lists of cursors.
export const CURSOR = matching(
  new RegExp(`^(?!${FORBIDDEN_KEY}$)[A-Za-z0-9_.:@/+=~-]{1,128}$`),
  `1 to 128 letters, digits and _ . : @ / + = ~ -`,
)
export const POLICY: Rule = [
  `one of ${POLICIES.join(', ')}`,
  (value) => (POLICIES as readonly unknown[]).includes(value),
]
const FILTERS = headersUpTo(MAX_FILTER_LENGTH)
export const FILTER: Rule = [`an object with either all or any: ${FILTERS[0]}`, isFilter]
const START: Rules = {
  offset: optional(NUMBER),
  time: optional(NUMBER),
  last: optional(whole(0, MAX_LAST)),
  before: optional(NUMBER),
  epoch: optional(textUpTo(64)),
}
export const FROM: Rule = [
  `"latest", "earliest", or an object with offset, time or last (at most ${MAX_LAST})`,
  isStart,
]

function headersUpTo(longest: number): Rule {
  return [
    `an object of at most ${MAX_HEADERS} strings, and ${longest} characters in total`,
    (value) => {
      if (!isFields(value)) return false
      const texts = Object.entries(value).flat()
      const areTexts = texts.length <= 2 * MAX_HEADERS && texts.every((text) => typeof text === 'string')
      return areTexts && texts.join('').length <= longest
    },
  ]
}

function isFilter(value: unknown): boolean {
  if (!isFields(value)) return false
  // Also one that is undefined: what applies the filter looks at which is there.
  const isAll = 'all' in value
  if (Object.keys(value).some((name) => name !== 'all' && name !== 'any')) return false
  return isAll !== 'any' in value && FILTERS[1](value[isAll ? 'all' : 'any'])
}

function isStart(value: unknown): boolean {
  if (!isFields(value)) return value === 'latest' || value === 'earliest'
  const { offset, time, last, before } = value
  // With `last` and `before`, an offset is where a subscription resumes after a lost connection.
  const from = last !== undefined && before !== undefined ? undefined : offset
  return (
    [from, time, last].filter((start) => start !== undefined).length === 1 &&
    !broken(value, START) &&
    unknownField('from', value, START) === undefined
  )
}
