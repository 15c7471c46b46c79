/** Time between two updates, in milliseconds. */
const INTERVAL_MS = 200

/** A line on the terminal that is updated while long work is in progress. Does nothing if standard error is not a terminal. */
export class Progress {
  private shownAt = Number.NEGATIVE_INFINITY
  private shown = false

  update(text: () => string): void {
    const now = performance.now()
    if (!process.stderr.isTTY || now - this.shownAt < INTERVAL_MS) return
    this.shownAt = now
    this.shown = true
    process.stderr.write(`\r\x1b[K${text()}`)
  }

  /** Removes the line, so that the next output takes its place. */
  clear(): void {
    if (this.shown) process.stderr.write('\r\x1b[K')
    this.shown = false
  }
}
