import type { MessageFrame } from './frames.ts'

/** A message where JSON alone can go: without its type, and bytes as `base64`. */
export interface JsonMessage extends Omit<MessageFrame, 'type'> {
  readonly base64?: string
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
