/** The permissions of a client. Anything not listed is not permitted. */
export interface Permissions {
  /** Topic patterns. Publishing directly to a queue uses the topic `$queue.<name>`, which has to be listed. */
  readonly publish?: readonly string[] | undefined
  /** Topic patterns. A subscription is permitted if these cover everything that its pattern matches. */
  readonly subscribe?: readonly string[] | undefined
  /**
   * Topic patterns to respond on. Separate from `subscribe`, because a responder receives requests that no other client sees, and
   * requesters trust its replies.
   */
  readonly respond?: readonly string[] | undefined
  /** Patterns of queue names. */
  readonly consume?: readonly string[] | undefined
  /** Patterns of queue and stream names. */
  readonly declare?: readonly string[] | undefined
  /** `true` for everything, all other verbs included; or patterns of queue and stream names and of the topics `$sys.#`. */
  readonly admin?: boolean | readonly string[] | undefined
}

/** Who a client is, and what it may do. */
export interface Identity {
  /** Name of the client in the log and in refusals. */
  readonly subject: string
  /**
   * Values for `${name}` in permissions, each converted to one word of a topic: see `topicWord`. `${sub}` is the subject unless the
   * claims have their own `sub`.
   */
  readonly claims?: Readonly<Record<string, unknown>> | undefined
  readonly permissions: Permissions
  /**
   * A time, or milliseconds since 1970. From then on the hub requires a new token. Without it, or with `Infinity`, the identity
   * does not expire.
   */
  readonly expiresAt?: number | Date | undefined
}

/** The credentials of a connecting client: a copy, so that it outlives the engine's objects. */
export interface Credentials {
  readonly token?: string | undefined
  /** Address of the peer. */
  readonly address: string
  readonly origin: string | undefined
  /** Headers of the request, with names in lower case. Empty for a token that renews another one on an open connection. */
  readonly headers: Readonly<Record<string, string>>
}

/**
 * Returns the identity of a client. If it returns none, API keys, JWT and the mode `anonymous` are checked next. If it throws a
 * `FanfareError`, the client is refused with that error; any other error is logged, and the client is asked to try again later.
 */
export type Authenticate = (request: Credentials) => Identity | undefined | Promise<Identity | undefined>
