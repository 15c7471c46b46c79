import type { Logger } from 'pino'
import type { Contract, Exchange, Schema } from '../../shared/contract.ts'
import { FanfareError } from '../../shared/errors.ts'
import { QUEUE_TOPIC } from '../../shared/queues.ts'
import { RawJson } from '../../shared/raw-json.ts'
import { isThenable } from '../../shared/thenable.ts'
import { textOf } from '../../shared/thrown.ts'
import { matchesPattern, parsePattern } from '../../shared/topic.ts'

/** Throws `bad_data` with the validator's message. */
export type Check = (data: unknown) => void
export type ExchangeCheck = Exchange<Check, Check>

/** Maximum number of a validator's problems in an error, and of characters per problem. */
const MOST_PROBLEMS = 3
const PROBLEM_LENGTH = 200

/** Checks data against the contract that the hub was started with. */
export class Contracts {
  private readonly topics: ByTopic<Schema>
  private readonly requests: ByTopic<Exchange<Schema, Schema>>
  private readonly contract: Contract | undefined
  private readonly log: Logger

  constructor(contract: Contract | undefined, log: Logger) {
    this.contract = contract
    this.topics = new ByTopic(contract?.topics ?? {})
    this.requests = new ByTopic(contract?.requests ?? {})
    this.log = log
  }

  /** The check of a topic, or of a queue by its own topic; undefined if the contract does not cover it. */
  ofTopic(topic: string, words: readonly string[]): Check | undefined {
    if (topic.startsWith(QUEUE_TOPIC)) return this.ofQueue(topic.slice(QUEUE_TOPIC.length))
    const schema = this.topics.get(topic, words)
    return schema && this.checkBy([schema], `The message on "${topic}"`)
  }

  ofRequest(topic: string, words: readonly string[]): ExchangeCheck | undefined {
    const exchange = this.requests.get(topic, words)
    return (
      exchange && {
        request: this.checkBy([exchange.request], `The request on "${topic}"`),
        reply: this.checkBy([exchange.reply], `The reply on "${topic}"`),
      }
    )
  }

  /** A queue accepts what any of the topics bound to it accepts. */
  private ofQueue(queue: string): Check | undefined {
    const { queues, topics } = this.contract ?? {}
    if (!queues || !topics || !Object.hasOwn(queues, queue)) return undefined
    const schemas = queues[queue]?.map((topic) => topics[topic] as Schema)
    return schemas && this.checkBy(schemas, `The message for queue "${queue}"`)
  }

  private checkBy(schemas: readonly Schema[], where: string): Check {
    return (raw) => {
      // Output of the schema is discarded: the message is passed on as it came.
      const data = raw instanceof RawJson ? raw.parse() : raw
      let words: string | undefined
      for (const schema of schemas) {
        const problems = this.validate(schema, data, where)
        if (problems === undefined) return
        words ??= problems
      }
      throw new FanfareError('bad_data', `${where}${words}.`)
    }
  }

  /**
   * What is wrong with the data; undefined if it is valid. A schema that fails is reported as a mistake of the publisher rather
   * than as `internal`, which would end its connection: a client that publishes again would end the same way forever.
   */
  private validate(schema: Schema, data: unknown, where: string): string | undefined {
    try {
      const result = schema['~standard'].validate(data)
      // Any thenable counts as a promise: taken for a result, it would have no issues, and pass.
      if (!isThenable(result)) return result.issues && describe(result.issues)
      // zod tries again asynchronously when a check throws, so only the promise knows the error.
      result.then(
        () => this.log.error(`${where}: the schema is asynchronous`),
        (err: unknown) => this.log.error({ err }, `${where}: the schema failed`),
      )
      return ' cannot be checked: its schema failed, because it is asynchronous or has thrown'
    } catch (err) {
      this.log.error({ err }, `${where}: the schema failed`)
      return ` cannot be checked: its schema failed: ${textOf(err).slice(0, PROBLEM_LENGTH)}`
    }
  }
}

/** The contract's entries for topics and patterns. An exact name takes precedence, and no two patterns match the same topic. */
class ByTopic<Value> {
  private readonly exact = new Map<string, Value>()
  private readonly patterns: { readonly words: readonly string[]; readonly value: Value }[] = []

  constructor(values: Readonly<Record<string, Value>>) {
    for (const [name, value] of Object.entries(values)) {
      if (isPattern(name)) this.patterns.push({ words: parsePattern(name), value })
      else this.exact.set(name, value)
    }
  }

  get(topic: string, words: readonly string[]): Value | undefined {
    return this.exact.get(topic) ?? this.patterns.find((pattern) => matchesPattern(pattern.words, words))?.value
  }
}

type Issues = readonly { readonly message: string; readonly path?: Path | undefined }[]
type Path = readonly (PropertyKey | { readonly key: PropertyKey })[]

function describe(issues: Issues): string {
  const said = issues.slice(0, MOST_PROBLEMS).map(({ message, path = [] }) => {
    const place = path.map((step) => String(typeof step === 'object' ? step.key : step)).join('.')
    const text = message.slice(0, PROBLEM_LENGTH).replace(/\.$/, '')
    return place === '' ? text : `at ${place.slice(0, PROBLEM_LENGTH)}: ${text}`
  })
  const more = issues.length > MOST_PROBLEMS ? `; and ${issues.length - MOST_PROBLEMS} more` : ''
  return ` does not match its schema: ${said.join('; ')}${more}`
}

/** The problems of a contract itself. */
export function problemsOf(contract: unknown): string[] {
  const { topics, queues, requests } = (contract ?? {}) as Partial<Contract>
  if (!isRecord(topics) || !isRecord(queues) || !isRecord(requests)) return ['must be what defineTopics() returned']
  const schemas: [string, unknown][] = [
    ...Object.entries(topics),
    ...Object.entries(requests).flatMap(([topic, exchange]): [string, unknown][] => [
      [`${topic} (request)`, exchange?.request],
      [`${topic} (reply)`, exchange?.reply],
    ]),
  ]
  const unknown = Object.entries(queues).flatMap(([queue, names]) =>
    (Array.isArray(names) ? (names as string[]) : [])
      .filter((name) => !Object.hasOwn(topics, name))
      .map((name) => `queue ${queue}: no schema of "${name}"`),
  )
  return [
    ...schemas.flatMap(([name, schema]) => problemOf(schema).map((problem) => `${name}: ${problem}`)),
    ...problemsOfNames(Object.keys(topics)),
    ...problemsOfNames(Object.keys(requests)),
    ...unknown,
  ]
}

function problemOf(schema: unknown): string[] {
  const standard = (schema as Partial<Schema> | undefined)?.['~standard']
  return typeof standard?.validate === 'function' ? [] : ['not a schema of Standard Schema']
}

function problemsOfNames(names: readonly string[]): string[] {
  const problems: string[] = []
  const patterns: [string, string[]][] = []
  for (const name of names) {
    try {
      const words = parsePattern(name)
      if (name.startsWith('$')) problems.push(`${name}: topics that begin with $ are the hub's own`)
      const twin = isPattern(name) ? patterns.find(([, other]) => meet(words, other)) : undefined
      if (twin) problems.push(`${name}: matches topics that ${twin[0]} matches, and a topic has one schema`)
      if (isPattern(name)) patterns.push([name, words])
    } catch (error) {
      problems.push(`${name}: ${(error as Error).message}`)
    }
  }
  return problems
}

/** Whether some topic matches both patterns. */
function meet(a: readonly string[], b: readonly string[]): boolean {
  const [wordA, ...restA] = a
  const [wordB, ...restB] = b
  if (wordA === '#') return meet(restA, b) || (b.length > 0 && meet(a, restB))
  if (wordB === '#') return meet(b, a)
  if (wordA === undefined || wordB === undefined) return wordA === wordB
  return (wordA === wordB || wordA === '*' || wordB === '*') && meet(restA, restB)
}

function isPattern(name: string): boolean {
  return /[*#]/.test(name)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
