/** What a client may do. What is not named is not permitted. */
export interface Permissions {
  /** Patterns of topics; a queue is published to directly as `$queue.<name>`, which has to be named. */
  readonly publish?: readonly string[] | undefined
  /** Patterns of topics. A subscription is permitted where all that its pattern matches is. */
  readonly subscribe?: readonly string[] | undefined
  /**
   * Patterns of topics on which it may answer what is asked. Not part of `subscribe`: a responder gets requests that no other client
   * sees, and its answers are believed.
   */
  readonly respond?: readonly string[] | undefined
  /** Patterns of names of queues. */
  readonly consume?: readonly string[] | undefined
  /** Patterns of names of queues and streams. */
  readonly declare?: readonly string[] | undefined
  /** Everything, of all verbs; or patterns of names of queues and streams, and of the topics `$sys.#`. */
  readonly admin?: boolean | readonly string[] | undefined
}

/** Who a client is, and what it may do. */
export interface Identity {
  /** Stands in the log and in refusals. */
  readonly subject: string
  /**
   * What `${name}` in a permission stands for, as one word of a topic: see `topicWord`. `${sub}` is the subject where the claims have
   * no other.
   */
  readonly claims?: Readonly<Record<string, unknown>> | undefined
  readonly permissions: Permissions
  /** A time, or milliseconds since 1970; from then on the hub wants another token. Without it, or with `Infinity`, it does not end. */
  readonly expiresAt?: number | Date | undefined
}

/** What is known of a client that connects: copied, so that it outlives the engine's own. */
export interface Credentials {
  readonly token?: string | undefined
  /** Of the peer of the socket. */
  readonly address: string
  readonly origin: string | undefined
  /** Of the request, by names in lower case. Of a token that renews another on an open connection there are none. */
  readonly headers: Readonly<Record<string, string>>
}

/**
 * Says who a client is. Without an identity API keys, JWT and the mode for the anonymous follow. A `FanfareError` that it
 * throws is the refusal; any other error is logged, and the client is asked to try again later.
 */
export type Authenticate = (request: Credentials) => Identity | undefined | Promise<Identity | undefined>
