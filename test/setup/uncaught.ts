import { onTestFinished } from 'vitest'

const EVENTS = ['uncaughtException', 'unhandledRejection'] as const

/** Collects uncaught errors until the test ends, in place of the test runner. */
export function hearUncaught(): unknown[] {
  const heard: unknown[] = []
  for (const event of EVENTS) {
    const before = process.listeners(event as 'uncaughtException')
    process.removeAllListeners(event)
    process.on(event, (error: unknown) => heard.push(error))
    onTestFinished(() => {
      process.removeAllListeners(event)
      for (const listener of before) process.on(event, listener)
    })
  }
  return heard
}
