/** A validator of any library that supports Standard Schema (standardschema.dev): zod, valibot, arktype and others. */
export interface Schema {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly types?: { readonly input: unknown; readonly output: unknown } | undefined
    readonly validate: (value: unknown) => Validated | Promise<Validated>
  }
}

/** A value, or the issues that it has. */
type Validated = { readonly value: unknown; readonly issues?: undefined } | { readonly issues: readonly Issue[] }

interface Issue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** The request and the reply of a topic. */
export interface Exchange<Request = unknown, Reply = unknown> {
  readonly request: Request
  readonly reply: Reply
}

/** Nothing is declared. */
type Unsaid = Record<never, never>

/**
 * The payloads of topics, queues, and requests with their replies; made by `defineTopics`.
 *
 * @typeParam Topics - the payload of each topic or pattern
 * @typeParam Queues - the payload of each queue; without it each consumer declares what it expects
 * @typeParam Requests - an `Exchange` for each topic of requests; without it requesters and responders declare it
 */
export interface Contract<
  Topics extends object = object,
  Queues extends object = Unsaid,
  Requests extends object = Unsaid,
> {
  readonly topics: Readonly<Record<string, Schema>>
  readonly queues: Readonly<Record<string, readonly string[]>>
  readonly requests: Readonly<Record<string, Exchange<Schema, Schema>>>
  /** Only for the compiler. */
  readonly types?: { readonly topics: Topics; readonly queues: Queues; readonly requests: Requests }
}

/** The payloads of topics that a type means: a contract's, or the type itself. */
export type TopicsIn<Type> = Type extends Contract ? NonNullable<Type['types']>['topics'] : Type
/** The payloads of queues that a contract names. */
export type QueuesIn<Type> = Type extends Contract ? NonNullable<Type['types']>['queues'] : Unsaid
/** The exchanges that a contract names. */
export type RequestsIn<Type> = Type extends Contract ? NonNullable<Type['types']>['requests'] : Unsaid

// Inferred, and not looked up in the schema's type: the compiler gives up on those of arktype that are nested deeply.
type Input<Of> = Of extends { readonly '~standard': { readonly types?: { readonly input: infer In } | undefined } }
  ? In
  : never
type Inputs<Schemas> = { [Name in keyof Schemas]: Input<Schemas[Name]> }

/**
 * Declares once, for clients and hub, what each topic carries: a schema by topic or pattern, of any library that supports
 * Standard Schema. `queues` names the topics that feed a queue, `requests` the request and the reply of a topic.
 *
 * ```
 * const topics = defineTopics(
 *   { 'photos.uploaded': photo, 'prices.*': price },
 *   { queues: { thumbnails: ['photos.uploaded'] }, requests: { sums: { request: numbers, reply: number } } },
 * )
 * ```
 *
 * `connect(url, { topics })` takes the types from it, `startHub({ topics })` checks them. The hub forwards what was published
 * unchanged: a schema that converts or completes (`transform`, `default`) refuses what it cannot read and changes nothing,
 * so publishers and receivers both have its input type.
 *
 * A topic has one schema: that of its own name, or that of the pattern that it matches; patterns that can match the same
 * topic are refused (`bad_config`). Schemas have to be synchronous, since messages keep the order in which they came: the
 * hub refuses what an asynchronous one would have to check.
 */
export function defineTopics<
  Schemas extends Record<string, Schema>,
  const Queues extends Record<string, readonly (keyof Schemas & string)[]> = Unsaid,
  Requests extends Record<string, Exchange<Schema, Schema>> = Unsaid,
>(
  topics: Schemas,
  { queues, requests }: { readonly queues?: Queues; readonly requests?: Requests } = {},
): Contract<
  Inputs<Schemas>,
  { -readonly [Queue in keyof Queues]: Inputs<Schemas>[Queues[Queue][number]] },
  { -readonly [Topic in keyof Requests]: Inputs<Requests[Topic]> }
> {
  return { topics, queues: queues ?? {}, requests: requests ?? {} }
}
