import type { BarrierFigures, LossCause, RemoteStatus } from '../remote-status.ts'
import type { Barrier } from './barrier.ts'
import type { CommitLog } from './commit-log.ts'
import type { Damage } from './damage.ts'
import type { BrokerLink } from './link.ts'
import type { Membership } from './membership.ts'
import type { PromiseCheck } from './promises.ts'
import type { Turns } from './turns.ts'
import type { Writer } from './writer.ts'

interface Parts {
  readonly link: BrokerLink
  readonly promise: PromiseCheck
  readonly writer: Writer
  readonly log: CommitLog
  readonly turns: Turns
  readonly barrier: Barrier
  readonly membership: Membership
  readonly damage: Damage
}

/** The status of a broker on Redis, put together from its parts when it is asked for. */
export class RedisStatus implements RemoteStatus {
  private readonly parts: Parts

  constructor(parts: Parts) {
    this.parts = parts
  }

  get cutOff(): string | undefined {
    const { link } = this.parts
    return link.isUp ? undefined : link.cause
  }

  get connections(): number {
    return this.parts.link.connections
  }

  get reconnections(): number {
    return this.parts.link.reconnections
  }

  get durability(): 'strict' | 'relaxed' {
    return this.parts.promise.durability
  }

  get mayLose(): ReadonlySet<LossCause> {
    return this.parts.promise.mayLose
  }

  get losses(): { readonly some: number; readonly all: number } {
    return { some: this.parts.writer.losses, all: this.parts.membership.renewals }
  }

  get lostTurns(): number {
    return this.parts.writer.lostTurns
  }

  get newEpochs(): number {
    return this.parts.log.newEpochs
  }

  get unknownOutcomes(): number {
    return this.parts.turns.unknownOutcomes
  }

  get damaged(): number {
    return this.parts.damage.count
  }

  get barrier(): BarrierFigures {
    return this.parts.barrier.figures
  }

  get memory(): { readonly bytes: number; readonly limitBytes: number } {
    return this.parts.promise.memory
  }
}
