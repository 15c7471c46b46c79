import type { ShownPayload } from './payload.ts'

/** The messages between the page and its tail worker. */

/** To the worker, which tails one pattern for its whole life. */
export interface TailRequest {
  readonly url: string
  /** Where the worker gets the token for its hello. */
  readonly tokenUrl: string
  readonly pattern: string
  /** Only messages with this text in their topic, id, key, headers or payload; empty for all. */
  readonly text: string
}

export interface TailMessage {
  readonly kind: 'message'
  /** Sequence number: tells apart messages that have the same id. */
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
  /** Messages that the hub, or the client here, dropped. */
  | {
      readonly kind: 'gap'
      readonly number: number
      readonly at: number
      readonly reason: string
      readonly count: number | undefined
    }
  /** Messages that arrived but are not shown: more at once than a person can read. */
  | { readonly kind: 'skipped'; readonly number: number; readonly at: number; readonly count: number }

/** From the worker, a few times per second. */
export type TailReport =
  | {
      readonly kind: 'items'
      readonly items: readonly TailItem[]
      readonly received: number
      /** Messages that contain the text of the filter. */
      readonly matching: number
    }
  | { readonly kind: 'state'; readonly state: string; readonly reason: string }
  | { readonly kind: 'failed'; readonly error: string }
