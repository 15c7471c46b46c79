import { FanfareError } from '../../../../shared/errors.ts'
import { type Argument, BrokerLink, LinkLost } from '../link.ts'

/** A link on which nothing is repeated: what was interrupted is continued by the next copy. */
export class ArchiveLink extends BrokerLink {
  override turn(script: string, args: readonly Argument[]): Promise<unknown> {
    return orLost(super.turn(script, args))
  }

  override read(script: string, args: readonly Argument[]): Promise<unknown> {
    return orLost(super.read(script, args))
  }

  override ask(...command: [string, ...Argument[]]): Promise<unknown> {
    return orLost(super.ask(...command))
  }

  override waitForReplicas(key: string, replicas: number, ms: number): Promise<number> {
    return orLost(super.waitForReplicas(key, replicas, ms))
  }

  override askBytes(...command: [string, ...Argument[]]): Promise<unknown> {
    return orLost(super.askBytes(...command))
  }
}

async function orLost<Answer>(answer: Promise<Answer>): Promise<Answer> {
  try {
    return await answer
  } catch (error) {
    if (!(error instanceof LinkLost)) throw error
    throw new FanfareError(
      'cluster_unreachable',
      `The connection to Redis was lost: ${error.message}. Run the command again; it continues where it was.`,
    )
  }
}
