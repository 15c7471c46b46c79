import { FanfareError } from '../../shared/errors.ts'
import { EmbeddedBroker } from './embedded/embedded-broker.ts'

/** The broker of a hub in a cluster, whose nodes share no storage: it has no streams and no queues. */
export class LiveOnlyBroker extends EmbeddedBroker {
  override async declareStream(): Promise<never> {
    throw new FanfareError('cluster_live_only')
  }

  override async declareQueue(): Promise<never> {
    throw new FanfareError('cluster_live_only')
  }
}
