/** What a client may do, by verb: patterns of topics or names. `admin: true` is everything, of all verbs. */
export interface GrantedPermissions {
  readonly publish?: readonly string[]
  readonly subscribe?: readonly string[]
  readonly respond?: readonly string[]
  readonly consume?: readonly string[]
  readonly declare?: readonly string[]
  readonly admin?: true | readonly string[]
}

/** Who a client is to the hub, and what it may do. */
export interface WhoAmI {
  /** The subject of its token; absent if it has shown none. */
  readonly subject?: string
  /** The roles of the hub's configuration from which permissions come. */
  readonly roles: readonly string[]
  /** With all placeholders filled in. A verb that is missing is not permitted at all. */
  readonly permissions: GrantedPermissions
  /** When the token ends, in milliseconds since 1970; absent if it does not end. */
  readonly expiresAt?: number
}
