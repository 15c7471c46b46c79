import type { Clock } from '../../shared/clock.ts'
import type { Nodes } from '../bus/nodes.ts'
import type { Streams } from '../stream/streams.ts'

/** How long another node may take to learn of a declaration, in milliseconds. One that takes longer is cut off, or about to leave. */
const LONGEST_MS = 1_000
const FIRST_WAIT_MS = 2

export interface DeclarationParts {
  readonly nodes: Nodes
  readonly streams: Streams
  readonly clock: Clock
}

/**
 * Waits until the other nodes know all that this one knows to be declared. A client that was told of a declaration may publish on any
 * node, and a node that does not know of it would store nothing, and say nothing.
 */
export async function knownEverywhere({ nodes, streams, clock }: DeclarationParts): Promise<void> {
  const { generation } = streams
  const since = clock.now()
  for (let wait = FIRST_WAIT_MS; clock.now() - since < LONGEST_MS; wait *= 2) {
    const others = await nodes.askOthers('declarations.generation', {})
    if (others.every((other) => other >= generation)) return
    await new Promise<void>((resolve) => {
      clock.setTimeout(resolve, wait)
    })
  }
}
