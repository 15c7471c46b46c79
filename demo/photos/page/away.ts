/**
 * What a cut of the connection made this tab miss, and how much of that came afterwards: counted by the offsets of the log,
 * and not taken from anyone's word.
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
  /** Offsets that came since, and whether each is an upload. */
  readonly came: Map<number, boolean>
}

export function left(seen: number): Away {
  return { since: Date.now(), first: seen + 1, came: new Map() }
}

export function missed({ first, end }: Away): number | undefined {
  return end === undefined ? undefined : end - first
}

/** How many of the missed messages have come, and how many of these are uploads. */
export function got({ end, came }: Away): { messages: number; uploads: number } {
  const late = [...came].filter(([offset]) => end !== undefined && offset < end)
  return { messages: late.length, uploads: late.filter(([, isUpload]) => isUpload).length }
}
