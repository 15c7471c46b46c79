import type { ShownPayload } from './payload.ts'

/** What the page and the worker of its tail say to each other. */

/** To the worker. It tails one pattern as long as it lives. */
export interface TailRequest {
  readonly url: string
  /** Where it gets the token to say hello with. */
  readonly tokenUrl: string
  readonly pattern: string
  /** Only messages with this text in their topic, id, key, headers or payload; empty for all. */
  readonly text: string
}

export interface TailMessage {
  readonly kind: 'message'
  /** Counts up: tells messages apart that have the same id. */
  readonly number: number
  readonly at: number
  readonly topic: string
  readonly id: string
  readonly key: string | undefined
  readonly headers: Readonly<Record<string, string>> | undefined
  readonly payload: ShownPayload
}

export type TailItem =
  | TailMessage
  /** The hub, or the client here, has dropped messages. */
  | {
      readonly kind: 'gap'
      readonly number: number
      readonly at: number
      readonly reason: string
      readonly count: number | undefined
    }
  /** They came, and are not shown: more at once than a person could read. */
  | { readonly kind: 'skipped'; readonly number: number; readonly at: number; readonly count: number }

/** From the worker, a few times a second. */
export type TailReport =
  | {
      readonly kind: 'items'
      readonly items: readonly TailItem[]
      readonly received: number
      /** Messages that have the text that was asked for. */
      readonly matching: number
    }
  | { readonly kind: 'state'; readonly state: string; readonly reason: string }
  | { readonly kind: 'failed'; readonly error: string }
