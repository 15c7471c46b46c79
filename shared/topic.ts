import { quoted, shown } from './error-text.ts'
import { FanfareError } from './fanfare-error.ts'
import { textOf } from './thrown.ts'
import { encodeUtf8 } from './utf8.ts'

/**
 * Topics and patterns, after AMQP's topic exchange: words joined by dots; in a pattern `*` stands for one word and
 * `#` for zero or more. As in MQTT (section 4.7.2), a pattern that begins with a wildcard does not match the topics
 * that begin with `$`: they are the hub's own.
 */
export const MAX_TOPIC_LENGTH = 255
export const MAX_TOPIC_WORDS = 32

// Printable ASCII without characters that JSON escapes, so that a topic goes into a frame unchanged.
const WORD = '[A-Za-z0-9_:@/+=~-]+'
const OUTSIDE_WORD = /[^A-Za-z0-9_:@/+=-]/gu
const TOPIC = new RegExp(`^\\$?${WORD}(?:\\.${WORD})*$`)
const PATTERN = new RegExp(`^(?:\\$?${WORD}|[*#])(?:\\.(?:${WORD}|[*#]))*$`)

/** The words of a topic. Throws `bad_topic`. */
export function parseTopic(topic: string): string[] {
  return parseName(topic, TOPIC, 'bad_topic')
}

/** The words of a pattern, unchanged: enough to match topics. Throws `bad_pattern`. */
export function patternWords(pattern: string): string[] {
  return parseName(pattern, PATTERN, 'bad_pattern')
}

/**
 * The words of a pattern in canonical order: neighbouring `#` become one, and `#` comes after neighbouring `*`, so that
 * equal patterns have equal words. Throws `bad_pattern`.
 */
export function parsePattern(pattern: string): string[] {
  const parsed = patternWords(pattern)
  if (!pattern.includes('#')) return parsed
  const words: string[] = []
  for (const word of parsed) {
    const afterHash = words.at(-1) === '#'
    if (afterHash && word === '#') continue
    if (afterHash && word === '*') words.splice(-1, 0, '*')
    else words.push(word)
  }
  // A copy is as long as it has to be. A list that grows has room for more, and subscriptions keep this one.
  return words.slice()
}

/**
 * One word of a topic that stands for any text: a subject such as `auth0|5f7c`, an e-mail address, a name in any script.
 * The letters `A` to `Z` and `a` to `z`, digits and `_ : @ / + = -` stay. Any other character becomes its bytes of UTF-8, each as `~` and
 * two hexadecimal digits. Different texts have different words, and no word has a dot or a wildcard. In a permission, `${sub}` is
 * replaced by this word of the subject.
 *
 * @throws FanfareError `bad_topic`: the text is empty, is not Unicode, or its word has more than 255 characters
 * @example
 * topicWord('auth0|5f7c') // 'auth0~7C5f7c'
 * topicWord('ann@example.com') // 'ann@example~2Ecom'
 * topicWord('müller') // 'm~C3~BCller'
 */
export function topicWord(text: string): string {
  const escaped = (byte: number) => `~${byte.toString(16).toUpperCase().padStart(2, '0')}`
  const word = isUnicode(text)
    ? text.replace(OUTSIDE_WORD, (character) => Array.from(encodeUtf8(character), escaped).join(''))
    : ''
  if (word === '' || word.length > MAX_TOPIC_LENGTH)
    throw new FanfareError('bad_topic', `${shown(text)} cannot be a word of a topic.`)
  return word
}

/** Half of a surrogate pair has no bytes of its own: several texts would have one word. */
function isUnicode(text: unknown): text is string {
  return typeof text === 'string' && !/[\ud800-\udfff]/u.test(text)
}

function parseName(name: string, grammar: RegExp, code: 'bad_topic' | 'bad_pattern'): string[] {
  // Callers without a compiler pass anything.
  const words = typeof name === 'string' && name.length <= MAX_TOPIC_LENGTH && grammar.test(name) && name.split('.')
  if (words && words.length <= MAX_TOPIC_WORDS) return words
  const [kind, wildcards] =
    code === 'bad_topic' ? ['topic', 'no wildcards'] : ['pattern', '* and # only as whole words']
  throw new FanfareError(
    code,
    `Invalid ${kind} ${quoted(textOf(name))}: it must be 1 to ${MAX_TOPIC_WORDS} words joined by dots, at most ${MAX_TOPIC_LENGTH} characters. ` +
      `Words have letters, digits and _ : @ / + = ~ -, $ only at the start, and ${wildcards}.`,
  )
}

/**
 * Whether the words of a pattern match the words of a topic. It takes at most as many steps as the product of both numbers of words,
 * whatever the pattern. A pattern in place of the topic matches if everything that it matches would: its `*` counts as a word, and
 * only a `#` matches its `#`.
 */
export function matchesPattern(pattern: readonly string[], topic: readonly string[]): boolean {
  if (topic[0]?.startsWith('$') && (pattern[0] === '*' || pattern[0] === '#')) return false
  let p = 0
  let t = 0
  let lastHash = -1
  let retryAt = 0
  while (t < topic.length) {
    const word = pattern[p]
    if (word === '#') {
      lastHash = p++
      retryAt = t
    } else if (word === topic[t] || (word === '*' && topic[t] !== '#')) {
      p++
      t++
    } else if (lastHash >= 0) {
      // The last # takes one word more. Earlier ones need no second try: the last can take all that they could.
      p = lastHash + 1
      t = ++retryAt
    } else {
      return false
    }
  }
  while (pattern[p] === '#') p++
  return p === pattern.length
}

/** Whether every topic that `pattern` matches is matched by one of `captures` too, as far as a look at each tells. */
export function isCovered(pattern: readonly string[], captures: readonly (readonly string[])[]): boolean {
  return captures.some((capture) => matchesPattern(capture, pattern))
}
