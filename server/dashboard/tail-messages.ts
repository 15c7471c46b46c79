/** What the page and the worker of its tail say to each other. */

/** To the worker. It tails one pattern as long as it lives. */
export interface TailRequest {
  readonly url: string
  /** Where it gets the token to say hello with. */
  readonly tokenUrl: string
  readonly pattern: string
}

export interface TailMessage {
  readonly kind: 'message'
  readonly at: number
  readonly topic: string
  readonly id: string
  readonly key: string | undefined
  readonly headers: Readonly<Record<string, string>> | undefined
  /** The payload as text; of a long one its beginning. */
  readonly text: string
  readonly isJson: boolean
  /** In bytes or characters, where the text is not all of it. */
  readonly cutFrom: number | undefined
}

export type TailItem =
  | TailMessage
  /** The hub, or the client here, has left messages out. */
  | { readonly kind: 'gap'; readonly at: number; readonly reason: string; readonly count: number | undefined }
  /** They came, and are not shown: more at once than anybody could read. */
  | { readonly kind: 'skipped'; readonly at: number; readonly count: number }

/** From the worker, a few times a second. */
export type TailReport =
  | { readonly kind: 'items'; readonly items: readonly TailItem[]; readonly received: number }
  | { readonly kind: 'state'; readonly state: string; readonly reason: string }
  | { readonly kind: 'failed'; readonly error: string }
