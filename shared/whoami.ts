/** Permissions by verb: patterns of topics or names. `admin: true` permits everything. */
export interface GrantedPermissions {
  readonly publish?: readonly string[]
  readonly subscribe?: readonly string[]
  readonly respond?: readonly string[]
  readonly consume?: readonly string[]
  readonly declare?: readonly string[]
  readonly admin?: true | readonly string[]
}

/** The identity and the permissions of a client. */
export interface WhoAmI {
  /** The subject of its token; absent if it is anonymous. */
  readonly subject?: string
  /** The roles of the hub's configuration from which permissions come. */
  readonly roles: readonly string[]
  /** All placeholders are filled in. A missing verb is not permitted at all. */
  readonly permissions: GrantedPermissions
  /** When the token expires: the time in it, in milliseconds since 1970. The hub accepts it for its `clockTolerance` longer. Absent if it does not expire. */
  readonly expiresAt?: number
}
