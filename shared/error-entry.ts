/** A row of the error table. */
export interface ErrorEntry {
  /** What was wrong and what to do, if the site that raises it has no more to say. */
  readonly text: string
  /** Whether trying again can help. */
  readonly retry: boolean
  /** The close code, if the error costs the connection. */
  readonly close?: number | undefined
}

export function refusal(text: string, close?: number): ErrorEntry {
  return { text, retry: false, close }
}

export function passing(text: string, close?: number): ErrorEntry {
  return { text, retry: true, close }
}
