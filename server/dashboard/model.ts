import type { Client } from '../../client/index.ts'
import type { HubInfo } from '../../shared/sys.ts'

/** What every page shows or needs of the hub. */
export class Model {
  hub: HubInfo | undefined = undefined
  /** Why it says nothing: it does not permit to ask. */
  refusal: string | undefined = undefined
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
        this.refusal = undefined
      } catch (error) {
        if ((error as { code?: string }).code === 'forbidden') this.refusal = (error as Error).message
      }
      this.changed()
    }
    void ask()
    setInterval(ask, 1000)
  }
}
