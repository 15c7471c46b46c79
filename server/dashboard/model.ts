import type { Client } from '../../client/index.ts'
import type { HubInfo } from '../../shared/sys.ts'
import { FORBIDDEN_MS, isForbidden, isNoAnswer } from './answer.ts'
import { heard } from './rights.ts'

const INTERVAL_MS = 1000

/** After this many seconds without an answer the hub counts as silent. */
const SILENT_S = 3

/** The hub's state that every page shows or needs. */
export class Model {
  hub: HubInfo | undefined = undefined
  /** When the hub last answered, in milliseconds since 1970. */
  heardAt = 0
  private readonly changed: () => void
  private asking = false
  /** For how many seconds the connected hub has owed an answer. */
  private owedS = 0
  private forbiddenUntil = 0

  constructor(changed: () => void) {
    this.changed = changed
  }

  /** The hub is connected but does not answer: it or the network hangs. */
  get silent(): boolean {
    return this.owedS >= SILENT_S
  }

  /** Polls once a second while the page is visible. */
  watch(client: Client): void {
    const tick = () => {
      if (document.hidden) return
      if (client.state !== 'connected') {
        this.owedS = 0
        this.forbiddenUntil = 0
      } else if (this.asking) this.owedS++
      if (!this.asking) void this.ask(client)
      this.changed()
    }
    tick()
    setInterval(tick, INTERVAL_MS)
  }

  private async ask(client: Client): Promise<void> {
    // Every client may call whoami: it shows whether the hub answers.
    const mayShow = Date.now() >= this.forbiddenUntil
    this.asking = true
    try {
      const answer = await client.call(mayShow ? 'hub.show' : 'hub.whoami')
      if (mayShow) this.hub = answer as HubInfo
      if (mayShow) heard(this)
      this.answered()
    } catch (error) {
      if (!isNoAnswer(error)) this.answered()
      if (mayShow) heard(this, error)
      if (isForbidden(error)) this.forbiddenUntil = Date.now() + FORBIDDEN_MS
    }
    this.asking = false
    this.changed()
  }

  private answered(): void {
    this.owedS = 0
    this.heardAt = Date.now()
  }
}
