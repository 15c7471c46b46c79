import { expect, it } from 'vitest'
import { realClock } from '../../shared/clock.ts'
import { VirtualClock } from './virtual-clock.ts'

const DAY = 86_400_000

it.each([1, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 366 * DAY])('a wait of %i ms takes as long, and comes once', async (ms) => {
  const clock = new VirtualClock()
  const begin = clock.now()
  const at: number[] = []
  clock.setTimeout(() => at.push(clock.now() - begin), ms)
  await clock.advance(2 * ms, () => Promise.resolve())
  expect(at).toEqual([expect.closeTo(ms, -1)])
})

it('an interval of years comes as often as it is due, until it is cleared', async () => {
  const clock = new VirtualClock()
  let times = 0
  const timer = clock.setInterval(() => times++, 100 * DAY)
  await clock.advance(350 * DAY, () => Promise.resolve())
  expect(times).toBe(3)
  clock.clearInterval(timer)
  await clock.advance(350 * DAY, () => Promise.resolve())
  expect(times).toBe(3)
})

it.each([2 ** 31, 2 ** 32, 1e12, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY])(
  'a timer of the platform that waits %d ms does not come at once, and can be cleared',
  async (ms) => {
    const warnings: Error[] = []
    const warned = (warning: Error) => warnings.push(warning)
    process.on('warning', warned)
    let came = false
    const task = () => {
      came = true
    }
    const timers = [realClock.setTimeout(task, ms), realClock.setInterval(task, ms)]
    await new Promise((resolve) => setTimeout(resolve, 20))
    realClock.clearTimeout(timers[0])
    realClock.clearInterval(timers[1])
    process.off('warning', warned)
    expect([came, warnings]).toEqual([false, []])
  },
)

it('a long wait that is cleared in its last part does not come', async () => {
  const clock = new VirtualClock()
  let came = false
  const timer = clock.setTimeout(() => {
    came = true
  }, 40 * DAY)
  await clock.advance(39 * DAY, () => Promise.resolve())
  clock.clearTimeout(timer)
  await clock.advance(39 * DAY, () => Promise.resolve())
  expect(came).toBe(false)
})
