import type { Access } from '../auth/access.ts'
import type { HttpPeer } from '../engine/engine.ts'

/** What handlers find in their context: who asks. */
export interface HttpEnv {
  Bindings: { readonly peer: HttpPeer | undefined }
  Variables: { access: Access }
}
