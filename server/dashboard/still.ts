/**
 * Whether the pointer or the keyboard's focus is in there. Then nothing in it may move: a click or a key would meet another
 * row than the one that was read.
 */
export function isHeld(selector: string): boolean {
  return document.querySelector(`:is(${selector}):is(:hover, :focus-within)`) !== null
}

/** A row in its place. */
export interface Placed<Row> {
  readonly row: Row
  /** It is not among the latest rows, and is shown as it was last seen because the list is held. */
  readonly isPast: boolean
}

/** Differs from everything that is asked for. */
const NOTHING = Symbol('nothing')

/** The rows of a list, each of which stays where it is while the list is held. */
export class StillRows<Row> {
  private readonly keyOf: (row: Row) => string
  private readonly selector: string
  private rows: readonly Row[] = []
  private asked: unknown = NOTHING

  /** The selector finds the list on the page. */
  constructor(selector: string, keyOf: (row: Row) => string) {
    this.selector = selector
    this.keyOf = keyOf
  }

  /**
   * The rows in the order in which they are to be drawn. `asked` stands for what was asked for: if it is something else, another
   * filter, order or page, the rows are others whatever points at them.
   */
  arranged(latest: readonly Row[], asked?: unknown): readonly Placed<Row>[] {
    const fresh = new Map(latest.map((row) => [this.keyOf(row), row]))
    if (asked !== this.asked || !isHeld(this.selector)) this.rows = latest
    else this.rows = this.rows.map((row) => fresh.get(this.keyOf(row)) ?? row)
    this.asked = asked
    return this.rows.map((row) => ({ row, isPast: !fresh.has(this.keyOf(row)) }))
  }
}
