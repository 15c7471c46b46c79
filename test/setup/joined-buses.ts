import type { Bus, BusEvents, LiveMessage } from '../../server/bus/bus.ts'
import { RawJson } from '../../shared/raw-json.ts'
import { matchesPattern } from '../../shared/topic.ts'

/**
 * Buses that join hubs of one process. What one sends reaches another in a later turn, and what is on its way when a link is cut is lost:
 * the minimum that the contract of the bus allows, and nothing that a hub could not do itself.
 */
export class JoinedBuses {
  private readonly open = new Set<JoinedBus>()
  private last = 0

  add(): JoinedBus {
    const id = `node-${++this.last}`
    return new JoinedBus({ id, name: `${id} of a test` }, this.open)
  }
}

interface Question {
  readonly to: JoinedBus
  answered(answer: unknown): void
}

export class JoinedBus implements Bus {
  readonly node: Bus['node']
  isCutOff = false
  reconnections = 0
  readonly figures = { sentMessages: 0, receivedMessages: 0, sentBytes: 0, receivedBytes: 0, lagMs: 0 }
  private isPaused = false
  private readonly all: Set<JoinedBus>
  private events: BusEvents | undefined = undefined
  /** By pattern, how often it is wanted, and when that stands. */
  private readonly wanted = new Map<string, { count: number; stands: Promise<void> | undefined }>()
  private readonly others = new Set<JoinedBus>()
  private readonly questions = new Set<Question>()
  /** Topics of messages that did not arrive. */
  private lost: string[][] = []

  constructor(node: Bus['node'], all: Set<JoinedBus>) {
    this.node = node
    this.all = all
  }

  async open(events: BusEvents): Promise<void> {
    this.events = events
    await nextTurn()
    this.heal()
  }

  publish({ id, topic, key, headers, expiresAt, wire }: LiveMessage): void {
    const { text, record, bytes } = wire
    const message = carried({ id, topic, key, headers, expiresAt, wire: { text, record, bytes } }) as LiveMessage
    const words = topic.split('.')
    for (const other of this.all) {
      if (other === this) continue
      const isJoined = this.others.has(other)
      setImmediate(() => {
        if (!other.wants(words)) return
        if (isJoined && this.others.has(other)) other.events?.messages([message])
        else other.lost.push(words)
      })
    }
  }

  subscribe(pattern: readonly string[]): Promise<void> | undefined {
    const name = pattern.join('.')
    const known = this.wanted.get(name)
    if (known) {
      known.count++
      return known.stands
    }
    const wanted: { count: number; stands: Promise<void> | undefined } = { count: 1, stands: undefined }
    // The others have to hear of it.
    if (this.others.size > 0) {
      wanted.stands = nextTurn().then(() => {
        wanted.stands = undefined
      })
    }
    this.wanted.set(name, wanted)
    return wanted.stands
  }

  unsubscribe(pattern: readonly string[]): void {
    const name = pattern.join('.')
    const wanted = this.wanted.get(name)
    if (!wanted) throw new Error(`Nobody has an interest in ${name}`)
    if (--wanted.count === 0) this.wanted.delete(name)
  }

  async ask(node: string, question: string, params: unknown, timeoutMs: number): Promise<unknown> {
    const to = [...this.others].find((other) => other.node.id === node)
    if (!to) return undefined
    const asked = carried(params)
    return new Promise((resolve) => {
      const answered = (answer: unknown) => {
        clearTimeout(timer)
        this.questions.delete(open)
        resolve(answer)
      }
      const open = { to, answered }
      const timer = setTimeout(() => answered(undefined), timeoutMs)
      this.questions.add(open)
      setImmediate(() => {
        if (!this.questions.has(open) || to.isPaused) return
        const answering = to.events?.asked(question, asked, this.node.id).then(carried, () => undefined)
        void answering?.then((answer) => setImmediate(() => this.questions.has(open) && answered(answer)))
      })
    })
  }

  async close(): Promise<void> {
    await nextTurn()
    this.cut()
    this.all.delete(this)
  }

  /** It answers no question any more, as a node whose process is stopped. */
  pause(): void {
    this.isPaused = true
  }

  /** Its lines to all others are gone. A hub whose bus is cut for good is, for the others, one that has died. */
  cut(): void {
    this.isCutOff = true
    for (const other of this.others) {
      this.leave(other)
      other.leave(this)
    }
  }

  /** The lines are there again. */
  heal(): void {
    if (this.isCutOff) this.reconnections++
    this.isCutOff = false
    this.all.add(this)
    for (const other of this.all) {
      if (other === this || this.others.has(other)) continue
      this.join(other)
      other.join(this)
    }
  }

  private join(other: JoinedBus): void {
    const { lost } = this
    this.lost = []
    if (lost.length > 0) this.events?.missed((pattern) => lost.some((words) => matchesPattern(pattern, words)))
    this.others.add(other)
    this.events?.joined(other.node)
  }

  private leave(other: JoinedBus): void {
    this.others.delete(other)
    this.events?.left(other.node.id)
    for (const question of this.questions) if (question.to === other) question.answered(undefined)
  }

  private wants(words: readonly string[]): boolean {
    return [...this.wanted.keys()].some((pattern) => matchesPattern(pattern.split('.'), words))
  }
}

/** What arrives of a value at another node. Throws if the contract does not allow it. */
function carried(value: unknown): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number' && Number.isFinite(value)) return value
  if (value instanceof RawJson) return new RawJson(value.text, value.isDeep)
  if (value instanceof Uint8Array) return value.slice()
  if (Array.isArray(value)) return value.map(carried)
  if (typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype) {
    const members = Object.entries(value).filter(([, member]) => member !== undefined)
    return Object.fromEntries(members.map(([name, member]) => [name, carried(member)]))
  }
  throw new TypeError(`A bus does not carry ${String(value)}`)
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
