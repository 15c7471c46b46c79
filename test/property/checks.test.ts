import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Checks } from '../../server/connection/checks.ts'

const MOST = 512 * 1024

interface Scenario {
  /** Of the line, there and back. */
  readonly lineMs: number
  readonly messageBytes: number
  readonly handlerMs: number
  /** Messages of a write, and the time between writes. */
  readonly messages: number
  readonly everyMs: number
  /** Nothing is handled before: a page is still loading. */
  readonly loadingMs?: number
  /** What is judged comes after this. */
  readonly settledMs?: number
}

interface Outcome {
  /** The time from a write to the end of its handling, at most, after some seconds. */
  readonly oldestMs: number
  /** The part of the time that the handler was busy. */
  readonly busy: number
  /** The part of the writes that found the line blocked. */
  readonly blocked: number
  readonly checks: number
}

const SECONDS = 30

/** A client behind a connection, in steps of a millisecond. What the connection does not take is conflated: it is not written. */
function play(scenario: Scenario): Outcome {
  const { lineMs, messageBytes, handlerMs, messages, everyMs, loadingMs = 0, settledMs = 15_000 } = scenario
  let time = 0
  const pongs: number[] = []
  const checks = new Checks(MOST, () => pongs.push(time + lineMs))
  const toClient: { at: number; written: number; check: number | undefined }[] = []
  const answers: { at: number; n: number }[] = []
  let n = 0
  let freeAt = loadingMs
  let waiting = 0
  const outcome = { oldestMs: 0, busy: 0, blocked: 0, checks: 0, writes: 0 }
  const write = (count: number, now: number) => {
    const asked = checks.writing(count * messageBytes, now, 0) !== undefined
    for (let i = 0; i < count; i++) {
      toClient.push({ at: now + lineMs / 2, written: now, check: asked && i === count - 1 ? ++n : undefined })
    }
  }
  write(1, 0)
  for (let now = 1; now < SECONDS * 1000; now++) {
    time = now
    // A browser answers pings outside of its pages.
    for (; (pongs[0] ?? now) < now; pongs.shift()) checks.ponged(now, 0)
    for (; answers[0] && answers[0].at <= now; answers.shift()) {
      checks.answered(answers[0].n, now, 0)
      if (checks.lone(now)) toClient.push({ at: now + lineMs / 2, written: now, check: ++n })
    }
    if (now % everyMs === 0) {
      if (now > settledMs) outcome.writes++
      if (checks.full && now > settledMs) outcome.blocked++
      // The newest, as many as conflation keeps.
      waiting = Math.min(waiting + messages, 50)
    }
    while (waiting > 0 && !checks.full) {
      const count = Math.min(waiting, Math.max(1, Math.floor(checks.room / messageBytes)))
      waiting -= count
      write(count, now)
    }
    for (; toClient[0] && toClient[0].at <= now && freeAt < now + 1; toClient.shift()) {
      const { written, check } = toClient[0]
      freeAt = Math.max(freeAt, now) + handlerMs
      if (now > settledMs) {
        outcome.busy += handlerMs
        outcome.oldestMs = Math.max(outcome.oldestMs, freeAt - written)
      }
      if (check !== undefined) answers.push({ at: freeAt + lineMs / 2, n: check })
    }
  }
  const settled = SECONDS * 1000 - settledMs
  return { ...outcome, busy: outcome.busy / settled, blocked: outcome.blocked / outcome.writes, checks: n }
}

const scenario = fc.record({
  lineMs: fc.constantFrom(0, 1, 10, 50, 150, 300),
  messageBytes: fc.constantFrom(80, 200, 1000, 5000),
  messages: fc.constantFrom(1, 8, 30),
  everyMs: fc.constantFrom(5, 20, 200),
})

describe('checks', () => {
  it('hold nothing up that is handled as fast as it comes, however far the client is', () =>
    fc.assert(
      fc.property(scenario, fc.double({ min: 0.001, max: 0.4, noNaN: true }), (line, load) => {
        const { blocked, checks } = play({ ...line, handlerMs: Math.min(load * line.everyMs, 20) / line.messages })
        expect(blocked).toBe(0)
        expect(checks, 'asks too often').toBeLessThan(11 * SECONDS)
      }),
      { numRuns: 50 },
    ))

  it('ask a client that keeps up ten times a second at most, however often it is written to', () => {
    const { checks } = play({ lineMs: 1, messageBytes: 100, handlerMs: 0.01, messages: 1, everyMs: 1 })
    expect(checks).toBeLessThan(11 * SECONDS)
  })

  it('keep a client busy that is too slow, and let little lie before it', () =>
    fc.assert(
      fc.property(scenario, fc.double({ min: 2, max: 10, noNaN: true }), (line, load) => {
        const handlerMs = (load * line.everyMs) / line.messages
        fc.pre(handlerMs <= 100)
        // A client that handles a quarter of an outbox in the time of the line is not bounded all the time.
        fc.pre((line.messageBytes / handlerMs) * (line.lineMs + 100) < MOST / 2)
        const { busy, oldestMs } = play({ ...line, handlerMs })
        expect(busy).toBeGreaterThan(0.5)
        expect(oldestMs).toBeLessThan(3 * line.lineMs + 600 + 10 * handlerMs)
      }),
      { numRuns: 50 },
    ))

  it('do not take the time in which a page loads for the time of its line', () =>
    fc.assert(
      fc.property(scenario, fc.double({ min: 2, max: 10, noNaN: true }), (line, load) => {
        const handlerMs = (load * line.everyMs) / line.messages
        fc.pre(line.lineMs <= 50 && handlerMs <= 20)
        const { oldestMs } = play({ ...line, handlerMs, loadingMs: 3000, settledMs: 5000 })
        expect(oldestMs).toBeLessThan(1400 + 10 * handlerMs)
      }),
      { numRuns: 50 },
    ))

  it('ask nothing on an idle line, and bound a client that never answers', () => {
    const checks = new Checks(MOST, () => {})
    expect(checks.writing(100, 0, 0)).toBeDefined()
    let written = 100
    for (let now = 1; !checks.full; now++, written += 100) checks.writing(100, now, 0)
    expect(written).toBeLessThan(50_000)
    expect(checks.lone(10_000_000)).toBeUndefined()
    expect(checks.heldBytes).toBeGreaterThanOrEqual(written)
  })

  it('do not blame the client for the time that the hub left an answer unread', () => {
    const checks = new Checks(MOST, () => {})
    for (let n = 1, now = 0; n < 100; n++, now += 1000) {
      while (!checks.writing(1000, now, 0));
      expect(checks.answered(n, now + 500, 499)).toBe(true)
      expect(checks.full).toBe(false)
    }
  })
})
