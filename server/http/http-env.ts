import type { Access } from '../auth/access.ts'
import type { HttpPeer } from '../engine/engine.ts'

/** The context of handlers: the client's identity. */
export interface HttpEnv {
  Bindings: { readonly peer: HttpPeer | undefined }
  Variables: { access: Access }
}
