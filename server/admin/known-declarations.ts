import type { Clock } from '../../shared/clock.ts'
import type { Broker } from '../broker/broker.ts'
import type { Nodes } from '../bus/nodes.ts'

/** How long this node takes at most to learn of a declaration, in milliseconds. If it takes longer, the node is cut off, or about to leave. */
const LONGEST_MS = 1_000

interface Waiting {
  readonly generation: number
  readonly answer: (isKnown: boolean) => void
}

/** Which declarations the nodes know: each counts them by their generation. */
export class KnownDeclarations {
  private readonly nodes: Nodes
  private readonly broker: Pick<Broker, 'generation'>
  private readonly clock: Clock
  private readonly waiting = new Set<Waiting>()

  constructor(nodes: Nodes, broker: Pick<Broker, 'generation'>, clock: Clock) {
    this.nodes = nodes
    this.broker = broker
    this.clock = clock
    nodes.answer('declarations.known', ({ generation }) => this.knownHere(generation))
  }

  /**
   * Waits until the other nodes know all declarations that this one knows. A client that was told of a declaration may publish on any
   * node, and a node that does not know of it would store nothing, and say nothing.
   */
  async everywhere(): Promise<void> {
    await this.nodes.askOthers('declarations.known', { generation: this.broker.generation })
  }

  /** Call when the broker has reported declarations or deletions. */
  changed(): void {
    for (const { generation, answer } of this.waiting) if (generation <= this.broker.generation) answer(true)
  }

  private knownHere(generation: number): boolean | Promise<boolean> {
    if (generation <= this.broker.generation) return true
    return new Promise((resolve) => {
      const answer = (isKnown: boolean) => {
        this.clock.clearTimeout(timer)
        this.waiting.delete(waiting)
        resolve(isKnown)
      }
      const waiting = { generation, answer }
      const timer = this.clock.setTimeout(() => answer(false), LONGEST_MS)
      this.waiting.add(waiting)
    })
  }
}
