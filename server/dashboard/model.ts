import type { Client } from '../../client/index.ts'
import type { HubInfo } from '../../shared/sys.ts'
import { heard } from './rights.ts'

/** What every page shows or needs of the hub. */
export class Model {
  hub: HubInfo | undefined = undefined
  /** When it last answered, in milliseconds since 1970. */
  heardAt = 0
  private readonly changed: () => void

  constructor(changed: () => void) {
    this.changed = changed
  }

  /** Asks once a second, as long as the page is visible. */
  watch(client: Client): void {
    const ask = async () => {
      if (document.hidden) return
      try {
        this.hub = (await client.call('hub.show')) as HubInfo
        this.heardAt = Date.now()
        heard(this)
      } catch (error) {
        heard(this, error)
      }
      this.changed()
    }
    void ask()
    setInterval(ask, 1000)
  }
}
