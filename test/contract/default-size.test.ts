import { expect, it } from 'vitest'
import { DEFAULT_MAX_BYTES, withMaxBytes } from '../../server/broker/rules/declarations.ts'

const { disk, redis } = DEFAULT_MAX_BYTES

it('a declaration that sets no size has the default of the broker, or keeps a default that was copied from another one', () => {
  const sizeOf = (maxBytes: number | undefined, existing: number | undefined) =>
    withMaxBytes<{ maxBytes: number }>({ maxBytes }, existing === undefined ? undefined : { maxBytes: existing }, redis)
      .maxBytes
  expect(sizeOf(undefined, undefined)).toBe(redis)
  expect(sizeOf(undefined, disk)).toBe(disk)
  expect(sizeOf(undefined, redis)).toBe(redis)
  // As any option that is set where there is another value.
  expect(sizeOf(undefined, 1000)).toBe(redis)
  expect(sizeOf(2000, disk)).toBe(2000)
})
