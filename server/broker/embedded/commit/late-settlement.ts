import type { FanfareError } from '../../../../shared/errors.ts'
import type { Settlement } from '../../broker.ts'

/** Settles a message that was leased again for this purpose; the message waits again if the settlement fails. */
export class LateSettlement implements Settlement {
  readonly queue: string
  readonly seq: number
  readonly delivery: number
  readonly ending: Settlement['ending']
  readonly drafts: Settlement['drafts']
  private readonly settlement: Settlement
  private readonly giveBack: () => void

  constructor(settlement: Settlement, delivery: number, giveBack: () => void) {
    this.queue = settlement.queue
    this.seq = settlement.seq
    this.delivery = delivery
    this.ending = settlement.ending
    this.drafts = settlement.drafts
    this.settlement = settlement
    this.giveBack = giveBack
  }

  settled(): void {
    this.settlement.settled()
  }

  refused(error: FanfareError): void {
    this.giveBack()
    this.settlement.refused(error)
  }

  unknown(error: FanfareError): void {
    this.giveBack()
    this.settlement.unknown(error)
  }
}
