import { FanfareError } from '../../shared/errors.ts'
import type { AuthFrame } from '../../shared/frames.ts'
import type { Access } from '../auth/access.ts'
import type { Authenticator } from '../auth/authenticator.ts'

/** A connection whose client may send a new token. Its methods never throw. */
export interface RenewalOwner {
  readonly address: string
  renewed(access: Access, seq: number): void
  notRenewed(thrown: unknown, seq: number): void
}

/** Checks the token that is to replace an expiring one. Until it is checked, the old one applies to everything that arrives. */
export class Renewal {
  private readonly authenticator: Authenticator
  private readonly owner: RenewalOwner
  private checking = false

  constructor(authenticator: Authenticator, owner: RenewalOwner) {
    this.authenticator = authenticator
    this.owner = owner
  }

  /** Throws `auth_backlog`. */
  check({ seq, token }: AuthFrame): void {
    if (this.checking) throw new FanfareError('auth_backlog', 'Another token is being checked. Wait for its answer.')
    this.checking = true
    const { owner } = this
    const credentials = { token, address: owner.address, origin: undefined, headers: {} }
    const access = async () => this.authenticator.authenticate(credentials)
    access()
      .finally(() => {
        this.checking = false
      })
      .then(
        (known) => owner.renewed(known, seq),
        (error: unknown) => owner.notRenewed(error, seq),
      )
  }
}
