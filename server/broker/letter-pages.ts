/** Selects up to `limit` dead letters from a number on, of about `bytes` together. */
export interface LetterRange {
  readonly from: number
  readonly limit: number
  readonly bytes: number
}

/** What one redrive and one purge of dead letters take at most. */
export interface LetterSteps {
  readonly moved: number
  readonly deleted: number
  /** Approximate size of a page of numbers whose letters are moved or deleted. */
  readonly bytes: number
}

/** A page of the numbers of dead letters, which are assigned in the order in which messages were dead-lettered. */
export interface LetterNumbers {
  /** Ascending. */
  readonly numbers: readonly number[]
  /** Where the next page begins. */
  readonly next: number
  /** All dead letters that the filter can match have lower numbers, as of now: no page follows once `next` has reached it. */
  readonly end: number
}
