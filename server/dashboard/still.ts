/**
 * Whether the pointer or the keyboard focus is inside. Rows must not move then: a click or a key would hit a different row from the
 * one the user read.
 */
export function isHeld(selector: string): boolean {
  return document.querySelector(`:is(${selector}):is(:hover, :focus-within)`) !== null
}

/** A row with its place in the list. */
export interface Placed<Row> {
  readonly row: Row
  /** The row has left the latest answer; it is still shown, as last seen, because the list is held. */
  readonly isPast: boolean
}

/** Differs from every possible question. */
const NOTHING = Symbol('nothing')

/** The rows of a list. Each stays in its place while the list is held. */
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
   * The rows in drawing order. `asked` identifies the question (filter, order, page): if it has changed, the rows are replaced even
   * while the list is held.
   */
  arranged(latest: readonly Row[], asked?: unknown): readonly Placed<Row>[] {
    const fresh = new Map(latest.map((row) => [this.keyOf(row), row]))
    if (asked !== this.asked || !isHeld(this.selector)) this.rows = latest
    else this.rows = this.rows.map((row) => fresh.get(this.keyOf(row)) ?? row)
    this.asked = asked
    return this.rows.map((row) => ({ row, isPast: !fresh.has(this.keyOf(row)) }))
  }
}
