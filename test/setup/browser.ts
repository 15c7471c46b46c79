import { type Browser, chromium } from 'playwright-core'
import { CHROMIUM } from './system.ts'

/** For whatever a page may wait for: the machine may be busy. */
export const PAGE_TIMEOUT_MS = 60_000

/** A real Chromium, which asks nothing of the outside. */
export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking', '--disable-sync'],
  })
}
