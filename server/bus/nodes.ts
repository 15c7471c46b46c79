import type { Coverage } from '../../shared/sys.ts'
import type { UnexpectedErrors } from '../failure/unexpected-errors.ts'
import type { Bus, BusFigures, NodeName } from './bus.ts'
import type { Answer, Params, QuestionName } from './questions.ts'

/** How long a node may take to say how it is, in milliseconds: what it would say later is out of date. */
const ANSWER_MS = 1000

type Answering<Name extends QuestionName> = (params: Params<Name>, from: string) => Answer<Name> | Promise<Answer<Name>>

/** This node and the others, with what they ask one another. */
export class Nodes {
  /** This node. */
  readonly own: NodeName
  /** How often messages of other nodes may have been missed here: each time, gaps tell the subscriptions concerned. */
  missedTotal = 0
  private readonly bus: Pick<Bus, 'node' | 'isCutOff' | 'reconnections' | 'figures' | 'ask'>
  private readonly unexpected: UnexpectedErrors
  private readonly others = new Map<string, NodeName>()
  private readonly answering = new Map<string, (params: never, from: string) => unknown>()

  constructor(bus: Pick<Bus, 'node' | 'isCutOff' | 'reconnections' | 'figures' | 'ask'>, unexpected: UnexpectedErrors) {
    this.own = bus.node
    this.bus = bus
    this.unexpected = unexpected
  }

  /** How many nodes are there now, this one included. */
  get count(): number {
    return this.others.size + 1
  }

  /** No other node is there now. */
  get alone(): boolean {
    return this.others.size === 0
  }

  /** Whether another node is there now. */
  has(node: string): boolean {
    return this.others.has(node)
  }

  /** This node has lost its way to the others. */
  get isCutOff(): boolean {
    return this.bus.isCutOff
  }

  /** How often this node has found its way back to the others. */
  get reconnections(): number {
    return this.bus.reconnections
  }

  get figures(): BusFigures {
    return this.bus.figures
  }

  /** Sets how this node answers a question. */
  answer<Name extends QuestionName>(question: Name, answering: Answering<Name>): void {
    this.answering.set(question, answering)
  }

  /** Asks another node. Resolves to undefined if there is no answer in time; never rejects. */
  ask<Name extends QuestionName>(
    node: string,
    question: Name,
    params: Params<Name>,
    timeoutMs = ANSWER_MS,
  ): Promise<Answer<Name> | undefined> {
    return this.bus.ask(node, question, params, timeoutMs) as Promise<Answer<Name> | undefined>
  }

  /** Asks all other nodes. Resolves to the answers that come in time. */
  async askOthers<Name extends QuestionName>(question: Name, params: Params<Name>): Promise<Answer<Name>[]> {
    const answers = await this.askEachOther(question, params)
    return answers.flatMap(({ answer }) => (answer === undefined ? [] : [answer]))
  }

  /** Asks all other nodes. Resolves to each of them with its answer, undefined if there is none in time. */
  async askEachOther<Name extends QuestionName>(
    question: Name,
    params: Params<Name>,
  ): Promise<{ readonly node: NodeName; readonly answer: Answer<Name> | undefined }[]> {
    const asked = [...this.others.values()].map(async (node) => ({
      node,
      answer: await this.ask(node.id, question, params),
    }))
    return Promise.all(asked)
  }

  /** Asks all nodes, and gives the answer of this one first. Rejects if this node cannot answer. */
  async askAll<Name extends QuestionName>(
    question: Name,
    params: Params<Name>,
  ): Promise<[Answer<Name>, ...Answer<Name>[]]> {
    return (await this.survey(question, params)).answers
  }

  /** The same, and which nodes the answers lack. */
  async survey<Name extends QuestionName>(
    question: Name,
    params: Params<Name>,
  ): Promise<{ readonly answers: [Answer<Name>, ...Answer<Name>[]]; readonly coverage: Coverage }> {
    const asked = this.askEachOther(question, params)
    const own = await this.askOwn(question, params)
    const others = await asked
    return {
      answers: [own, ...others.flatMap(({ answer }) => (answer === undefined ? [] : [answer]))],
      coverage: {
        cutOff: this.isCutOff,
        unanswered: others.filter(({ answer }) => answer === undefined).map(({ node }) => node),
      },
    }
  }

  async askOwn<Name extends QuestionName>(question: Name, params: Params<Name>): Promise<Answer<Name>> {
    return this.answering.get(question)?.(params as never, this.own.id) as Answer<Name>
  }

  // What the bus reports

  joined(node: NodeName): void {
    this.others.set(node.id, node)
  }

  left(node: string): void {
    this.others.delete(node)
  }

  /** Answers another node. Rejects if it asks what this version does not know. */
  async asked(question: string, params: unknown, from: string): Promise<unknown> {
    const answering = this.answering.get(question)
    if (!answering) throw new Error(`There is no question "${question}"`)
    try {
      return await answering(params as never, from)
    } catch (error) {
      this.unexpected.report('bus', error, { question, from })
      throw error
    }
  }
}
