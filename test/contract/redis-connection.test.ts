import { setFlagsFromString } from 'node:v8'
import { expect, it } from 'vitest'

it('the methods of strings are fast after the package for Redis has been loaded', async () => {
  setFlagsFromString('--allow-natives-syntax')
  const areFast = new Function('return %HasFastProperties(String.prototype)')
  expect(areFast()).toBe(true)
  await import('ioredis')
  expect(areFast()).toBe(false)
  await import('../../server/bus/redis/connection.ts')
  expect(areFast()).toBe(true)
})
