/**
 * What a cut of the connection made this tab miss, and how much of that came afterwards: counted by the offsets of the log,
 * and not taken from the word of anybody.
 */
export interface Away {
  readonly since: number
  /** Offset of the first message that this tab has not seen. */
  readonly first: number
  until?: number
  /** Offset behind the last one that was missed, once the hub has told it. */
  end?: number
  /** What the hub said when the subscription was renewed. */
  recovered?: boolean
  /** Offsets that came since. */
  readonly came: Set<number>
  /** Photos among them. */
  photos: number
}

export function left(seen: number): Away {
  return { since: Date.now(), first: seen + 1, came: new Set(), photos: 0 }
}

export function missed({ first, end }: Away): number | undefined {
  return end === undefined ? undefined : end - first
}

export function got({ end, came }: Away): number {
  let count = 0
  for (const offset of came) if (end !== undefined && offset < end) count++
  return count
}
