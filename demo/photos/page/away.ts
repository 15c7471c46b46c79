/** What this tab missed during a disconnect, and how much of it has arrived since, counted by the offsets of the log. */
export interface Away {
  readonly since: number
  /** Offset of the first message that this tab has not seen. */
  readonly first: number
  until?: number
  /** Offset after the last missed one, once the hub has reported it. */
  end?: number
  /** What the hub reported when the subscription was renewed. */
  recovered?: boolean
  /** Offsets received since, and whether each is an upload. */
  readonly came: Map<number, boolean>
}

export function left(seen: number): Away {
  return { since: Date.now(), first: seen + 1, came: new Map() }
}

export function missed({ first, end }: Away): number | undefined {
  return end === undefined ? undefined : end - first
}

/** How many of the missed messages have arrived, and how many of these are uploads. */
export function got({ end, came }: Away): { messages: number; uploads: number } {
  const late = [...came].filter(([offset]) => end !== undefined && offset < end)
  return { messages: late.length, uploads: late.filter(([, isUpload]) => isUpload).length }
}
