import { onTestFinished } from 'vitest'

const EVENTS = ['uncaughtException', 'unhandledRejection'] as const

/** What is thrown to nobody until the test ends, in place of what the test runner does about it. */
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
