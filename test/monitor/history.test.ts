import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Timeline } from '../../server/monitor/history.ts'

const MINUTE_MS = 60_000

it('gives the last five minutes and the averages of the minutes of a day, whatever is recorded and left out', () => {
  const sample = fc.record({
    // Also more than a minute: a hub may be held up.
    passed: fc.constantFrom(1000, 1000, 20_000, 70_000),
    times: fc.constantFrom(1, 1, 5, 400),
    value: fc.option(fc.integer({ min: 0, max: 1000 }), { nil: undefined }),
  })
  fc.assert(
    fc.property(fc.array(sample, { maxLength: 40 }), (script) => {
      const timeline = new Timeline()
      const histories = timeline.histories(['depth', 'rate'])
      const seconds: (readonly [time: number, value: number])[] = []
      const minutes: (readonly [time: number, value: number])[] = []
      let now = 1_000 * MINUTE_MS
      let minute: number[] = []
      for (const { passed, times, value } of script) {
        for (let n = 0; n < times; n++) {
          const before = Math.floor(now / MINUTE_MS)
          now += passed
          if (Math.floor(now / MINUTE_MS) !== before && minute.length > 0) {
            minutes.push([before * MINUTE_MS, minute.reduce((sum, each) => sum + each, 0) / minute.length])
            minute = []
          }
          timeline.tick(now)
          if (value !== undefined) histories.record('a', value, 2 * value)
          seconds.push([now, value ?? 0])
          minute.push(value ?? 0)
        }
      }
      const recent = histories.read('a', 'minutes')
      expect(recent.times).toEqual(seconds.slice(-300).map(([time]) => time))
      expect(recent.figures['depth']).toEqual(seconds.slice(-300).map(([, value]) => value))
      expect(recent.figures['rate']).toEqual(seconds.slice(-300).map(([, value]) => 2 * value))
      const day = histories.read('a', 'day')
      const kept = minutes.slice(-1440)
      expect(day.times).toEqual(kept.map(([time]) => time))
      for (const [at, [, value]] of kept.entries()) expect(day.figures['depth']?.[at]).toBeCloseTo(value, 1)
      expect(Math.max(0, ...histories.peaks('a', 0))).toBe(
        Math.max(0, ...seconds.slice(-295).map(([, value]) => value)),
      )
      expect(histories.peaks('a', 0).length).toBeLessThanOrEqual(60)
    }),
    { numRuns: 50 },
  )
})

it('keeps as many names as it may, and gives a place up when a name has been at rest for the whole range', () => {
  const timeline = new Timeline()
  const histories = timeline.histories(['depth'], 2, 0)
  const days = timeline.histories(['depth'], 3, 1)
  let now = 0
  const seconds = (count: number, ...names: readonly string[]) => {
    for (let n = 0; n < count; n++) {
      now += 1000
      timeline.tick(now)
      for (const name of names) for (const each of [histories, days]) each.record(name, 1)
    }
  }
  const kept = (name: string) => histories.read(name, 'minutes').kept
  seconds(130, 'a', 'b', 'c')
  expect([kept('a'), kept('b'), kept('c')]).toEqual([true, true, false])
  expect(histories.read('c', 'minutes').figures['depth']).toEqual(new Array(130).fill(0))
  expect([days.read('a', 'day').kept, days.read('b', 'day').kept]).toEqual([true, false])
  // One that was deleted makes room, and so does one that has been at rest.
  histories.forget('a')
  seconds(1, 'c')
  expect([kept('c'), kept('d')]).toEqual([true, false])
  seconds(420, 'c')
  expect(kept('d')).toBe(true)
  expect(histories.read('b', 'minutes').figures['depth']).toEqual(new Array(300).fill(0))
})
