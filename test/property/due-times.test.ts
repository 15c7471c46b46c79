import fc from 'fast-check'
import { expect, it } from 'vitest'
import { DueTimes } from '../../server/broker/due-times.ts'

it('what is due is what a look at everything would find', () => {
  const time = fc.oneof(fc.nat(20), fc.constant(Number.POSITIVE_INFINITY))
  const act = fc.record({ do: fc.constantFrom('set', 'set', 'setEarlier', 'delete'), thing: fc.nat(8), time })
  fc.assert(
    fc.property(
      fc.array(act, { maxLength: 60, size: 'max' }),
      fc.nat(20),
      fc.integer({ min: 1, max: 5 }),
      (acts, now, most) => {
        const times = new DueTimes<number>()
        const model = new Map<number, number>()
        for (const { do: what, thing, time } of acts) {
          times[what](thing, time)
          if (what === 'delete') model.delete(thing)
          else model.set(thing, what === 'set' ? time : Math.min(time, model.get(thing) ?? Number.POSITIVE_INFINITY))
        }
        const due = [...model].filter(([, time]) => time <= now).map(([thing]) => thing)
        expect(times.due(now).toSorted()).toEqual(due.toSorted())
        expect(times.due(now).map((thing) => model.get(thing))).toEqual(
          due.map((thing) => model.get(thing)).toSorted(byNumber),
        )
        expect(times.due(now, most)).toEqual(times.due(now).slice(0, most))
        expect(times.nextAfter(now)).toBe(Math.min(...[...model.values()].filter((time) => time > now)))
        for (const [thing, time] of model) expect(times.timeOf(thing)).toBe(time)
      },
    ),
  )
})

function byNumber(a = 0, b = 0): number {
  return a - b
}
