import type { History, HistoryRange } from '../../shared/sys.ts'
import { rounded } from './sums.ts'

/** Samples of the last five minutes, one per second, and of the last 24 hours, one per minute. */
const SECONDS = 300
const MINUTES = 24 * 60
/** A row of a list has this many points. Each is the maximum of several samples. */
const POINTS = 60
const SAMPLES_PER_POINT = SECONDS / POINTS

/**
 * Maximum number of queues, and of streams, with a history of the last five minutes and of the last 24 hours: about 4 kB and 17 kB
 * per queue. Only names with activity count. Further names get their turn when another has been idle for the whole range.
 */
export const MINUTES_NAMES = 2000
export const DAY_NAMES = 1000

/** The times of samples, shared by all figures of a hub. A ring buffer. */
class Ticks {
  /** Number of ticks since the hub started. */
  count = 0
  private readonly times: Float64Array

  constructor(length: number) {
    this.times = new Float64Array(length)
  }

  add(time: number): void {
    this.times[this.count++ % this.length] = time
  }

  get length(): number {
    return this.times.length
  }

  /** Numbers of the remembered ticks, the oldest first. */
  get remembered(): readonly number[] {
    const first = Math.max(0, this.count - this.length)
    return Array.from({ length: this.count - first }, (_, n) => first + n)
  }

  timeOf(tick: number): number {
    return this.times[tick % this.length] as number
  }
}

/** Values of some figures, by tick. A tick without a value stands for 0: nothing happened. */
class Ring {
  /** The last tick with values. */
  last = -1
  private readonly length: number
  private readonly figures: readonly Float32Array[]

  constructor(figures: number, length: number) {
    this.length = length
    this.figures = Array.from({ length: figures }, () => new Float32Array(length))
  }

  put(tick: number, values: ArrayLike<number>): void {
    const skipped = Math.min(tick - this.last - 1, this.length)
    for (const [n, figure] of this.figures.entries()) {
      for (let back = 1; back <= skipped; back++) figure[(tick - back + this.length) % this.length] = 0
      figure[tick % this.length] = values[n] ?? 0
    }
    this.last = tick
  }

  valueOf(figure: number, tick: number): number {
    if (tick > this.last || tick <= this.last - this.length) return 0
    return rounded(this.figures[figure]?.[tick % this.length] ?? 0)
  }
}

/** The remembered history of one name. */
interface KeptHistory {
  readonly seconds: Ring
  /** Sums of the current minute. */
  readonly sums: Float64Array
  day: Ring | undefined
}

/** The clock of all histories of a hub: one tick per sample, and one per minute. */
export class Timeline {
  readonly seconds = new Ticks(SECONDS)
  readonly minutes = new Ticks(MINUTES)
  private samples = 0
  private minute = 0
  private readonly all: Histories[] = []

  /** Histories of figures by name, for at most `names` names over the last five minutes. */
  histories(figures: readonly string[], names = MINUTES_NAMES, dayNames = DAY_NAMES): Histories {
    const histories = new Histories(this, figures, names, dayNames)
    this.all.push(histories)
    return histories
  }

  /** Begins a sample: values recorded from now on belong to it. */
  tick(now: number): void {
    const minute = Math.floor(now / 60_000)
    if (minute !== this.minute && this.samples > 0) {
      this.minutes.add(this.minute * 60_000)
      for (const histories of this.all) histories.minuteEnded(this.samples)
      this.samples = 0
    }
    this.minute = minute
    this.samples++
    this.seconds.add(now)
  }
}

/** Recent figures of queues, of streams, or of the hub itself, by name, in ring buffers of a fixed size. */
export class Histories {
  readonly figures: readonly string[]
  private readonly timeline: Timeline
  private readonly names: number
  private readonly dayNames: number
  private readonly kept = new Map<string, KeptHistory>()
  private days = 0

  constructor(timeline: Timeline, figures: readonly string[], names: number, dayNames: number) {
    this.timeline = timeline
    this.figures = figures
    this.names = names
    this.dayNames = dayNames
  }

  /** Records values of a name in the current sample. Zeros need not be recorded, and cost nothing. */
  record(name: string, ...values: number[]): void {
    if (values.every((value) => value === 0)) return
    const kept = this.kept.get(name) ?? this.keep(name)
    if (!kept) return
    kept.seconds.put(this.timeline.seconds.count - 1, values)
    for (const [n, value] of values.entries()) kept.sums[n] = (kept.sums[n] as number) + value
  }

  forget(name: string): void {
    if (this.kept.get(name)?.day) this.days--
    this.kept.delete(name)
  }

  read(name: string, range: HistoryRange): History {
    const kept = this.kept.get(name)
    const ring = range === 'day' ? kept?.day : kept?.seconds
    const ticks = range === 'day' ? this.timeline.minutes : this.timeline.seconds
    const { remembered } = ticks
    const figures = this.figures.map((figure, n) => [figure, remembered.map((tick) => ring?.valueOf(n, tick) ?? 0)])
    return {
      times: remembered.map((tick) => ticks.timeOf(tick)),
      figures: Object.fromEntries(figures) as Record<string, number[]>,
      kept: ring !== undefined || (range === 'day' ? this.days < this.dayNames : this.kept.size < this.names),
    }
  }

  /** The maxima of a figure in steps of five seconds, the oldest first. */
  peaks(name: string, figure: number): readonly number[] {
    const ring = this.kept.get(name)?.seconds
    const { count } = this.timeline.seconds
    // Whole steps only, so that unchanged values look the same in the next second.
    const end = Math.ceil(count / SAMPLES_PER_POINT) * SAMPLES_PER_POINT
    const first = Math.max(0, end - SECONDS)
    const peaks = new Array<number>((end - first) / SAMPLES_PER_POINT).fill(0)
    if (!ring) return peaks
    for (let tick = first; tick < count; tick++) {
      const at = Math.floor((tick - first) / SAMPLES_PER_POINT)
      peaks[at] = Math.max(peaks[at] as number, ring.valueOf(figure, tick))
    }
    return peaks
  }

  /** Stores the averages of a minute of `samples` samples, and deletes histories that have been idle for the whole range. */
  minuteEnded(samples: number): void {
    const { seconds, minutes } = this.timeline
    for (const [name, kept] of this.kept) {
      if (kept.sums.some((sum) => sum !== 0)) {
        if (!kept.day && this.days < this.dayNames) {
          kept.day = new Ring(this.figures.length, MINUTES)
          this.days++
        }
        kept.day?.put(
          minutes.count - 1,
          kept.sums.map((sum) => sum / samples),
        )
        kept.sums.fill(0)
      }
      if (kept.day && minutes.count - kept.day.last > MINUTES) {
        kept.day = undefined
        this.days--
      }
      if (!kept.day && seconds.count - kept.seconds.last > SECONDS) this.kept.delete(name)
    }
  }

  private keep(name: string): KeptHistory | undefined {
    if (this.kept.size >= this.names) return undefined
    const figures = this.figures.length
    const kept: KeptHistory = { seconds: new Ring(figures, SECONDS), sums: new Float64Array(figures), day: undefined }
    this.kept.set(name, kept)
    return kept
  }
}
