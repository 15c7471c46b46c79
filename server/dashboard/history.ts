/** What is kept of a figure, in seconds: one sample a second. */
export const HISTORY_S = 300

/** Seconds without a sample that are shown as a hole. */
const HOLE_S = 5

/** Samples of several figures over the last five minutes, in rings that are never copied to grow. */
export class History {
  private readonly times = new Float64Array(HISTORY_S)
  private readonly figures: readonly Float64Array[]
  private length = 0
  private next = 0

  constructor(figures: number) {
    this.figures = Array.from({ length: figures }, () => new Float64Array(HISTORY_S))
  }

  /** A sample of all figures, at a time in seconds. */
  push(time: number, ...values: readonly number[]): void {
    this.times[this.next] = time
    for (const [n, ring] of this.figures.entries()) ring[this.next] = values[n] ?? 0
    this.next = (this.next + 1) % HISTORY_S
    if (this.length < HISTORY_S) this.length++
  }

  /** Calls with each sample of a figure, the oldest first. */
  each(figure: number, task: (time: number, value: number) => void): void {
    const ring = this.figures[figure]
    if (!ring) return
    for (let n = 0; n < this.length; n++) {
      const at = (this.next - this.length + n + HISTORY_S) % HISTORY_S
      task(this.times[at] as number, ring[at] as number)
    }
  }

  /** Times and some of the figures as a chart wants them; a hole has a null in it. */
  columns(...figures: readonly number[]): [number[], ...(number | null)[][]] {
    const times: number[] = []
    const columns = figures.map((): (number | null)[] => [])
    for (let n = 0; n < this.length; n++) {
      const at = (this.next - this.length + n + HISTORY_S) % HISTORY_S
      const time = this.times[at] as number
      const before = times.at(-1)
      if (before !== undefined && time - before > HOLE_S) {
        times.push(before + 1)
        for (const column of columns) column.push(null)
      }
      times.push(time)
      for (const [c, figure] of figures.entries()) columns[c]?.push(this.figures[figure]?.[at] ?? null)
    }
    return [times, ...columns]
  }
}
