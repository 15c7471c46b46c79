import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { type Source, Sources } from '../../server/connection/sources.ts'
import { ReadTurns } from '../../server/stream/read-turns.ts'

const MANY = 100
const AT_MOST = 20

describe('very many subscriptions that read a stream', () => {
  it('read a few blocks in a turn of the event loop, each in its turn', async () => {
    const turns = new ReadTurns()
    const done: number[] = []
    const readers = Array.from({ length: MANY }, (_, n) => {
      const reader = { goOn: () => void (turns.take(reader) && done.push(n)) }
      return reader
    })
    for (const reader of readers) reader.goOn()
    for (let seen = 0; done.length < MANY; seen = done.length) {
      expect(done.length - seen).toBeLessThanOrEqual(AT_MOST)
      await setImmediate()
    }
    expect(done).toEqual(readers.map((_, n) => n))
  })

  it('do not wait for a reader that has ended', async () => {
    const turns = new ReadTurns()
    const done: number[] = []
    const readers = Array.from({ length: MANY }, (_, n) => ({ goOn: () => void done.push(n) }))
    const waiting = readers.filter((reader) => !turns.take(reader))
    for (const reader of waiting.slice(1)) turns.leave(reader)
    await setImmediate()
    await setImmediate()
    expect(done).toEqual([MANY - waiting.length])
  })

  it('of one connection are written in turn, a few at a time', () => {
    const sources = new Sources()
    const pulled: number[] = []
    for (let n = 0; n < MANY; n++) {
      const source: Source = {
        sub: n,
        pull: () => {
          pulled.push(n)
          return [{ wires: new Uint8Array(), binary: false, count: 1 }]
        },
      }
      sources.add(source)
    }
    let more = true
    while (pulled.length < MANY) {
      expect(more).toBe(true)
      more = false
      const before = pulled.length
      sources.writeEach(
        () => false,
        () => true,
        () => {
          more = true
        },
      )
      expect(pulled.length - before).toBeLessThanOrEqual(AT_MOST)
    }
    expect(pulled.slice(0, MANY)).toEqual(Array.from({ length: MANY }, (_, n) => n))
  })
})
