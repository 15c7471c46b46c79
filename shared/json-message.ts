import type { MessageFrame } from './frames.ts'

/** A message as plain JSON: without its type, bytes as `base64`, and data that is nested too deeply as text in `json`. */
export interface JsonMessage extends Omit<MessageFrame, 'type'> {
  readonly base64?: string
  readonly json?: string
  /** In a client: `data` as the JSON text that came. It is not enumerable. */
  readonly raw?: string | undefined
}

/** Messages of a stream, from an offset on. */
export interface StreamPage {
  readonly epoch: string
  /** Where this page begins: later than the offset asked for if the messages before are no longer kept. */
  readonly from: number
  readonly messages: readonly JsonMessage[]
  /** Where the next page begins. */
  readonly next: number
  /** Nothing is stored after it now. */
  readonly end: boolean
}
