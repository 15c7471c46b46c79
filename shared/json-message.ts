import type { MessageFrame } from './frames.ts'

/** A message where JSON alone can go: without its type, bytes as `base64`, and data nested too deeply for it as text in `json`. */
export interface JsonMessage extends Omit<MessageFrame, 'type'> {
  readonly base64?: string
  readonly json?: string
}

/** Messages of a stream, from an offset on. */
export interface StreamPage {
  readonly epoch: string
  /** Where this page begins: behind the offset that was asked for, where the messages before are no longer kept. */
  readonly from: number
  readonly messages: readonly JsonMessage[]
  /** Where the next page begins. */
  readonly next: number
  /** Nothing is kept behind it now. */
  readonly end: boolean
}
