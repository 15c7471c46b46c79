import { readFile } from 'node:fs/promises'
import type { Browser } from 'playwright-core'
import { build, type Rolldown } from 'vite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connect } from '../../client/node.ts'
import { launchBrowser } from '../setup/browser.ts'
import { PageServer } from '../setup/page-server.ts'
import { hearUncaught } from '../setup/uncaught.ts'
import type { Connect } from './actor.ts'
import { drive, type Report } from './drive.ts'
import { OWN_FAULT } from './handlers.ts'
import { HubHost } from './host.ts'

const STEPS = Number(process.env['DRIVER_STEPS'] ?? 1_000)
/** One seed that failed is repeated by itself; see its report. */
const SEED = Number(process.env['DRIVER_SEED'] ?? Date.now() % 1_000_000)
const LONGEST_MS = 300_000

function seeds(byDefault: number): number[] {
  return Array.from({ length: Number(process.env['DRIVER_SEEDS'] ?? byDefault) }, (_, n) => SEED + n)
}

/** Everything is as it should be, and only what the driver threw itself was uncaught. */
function judge(report: Report, uncaught: readonly string[]): void {
  const { seed, steps, ends, stood, hubFaults, faults } = report
  const unheard = uncaught.filter((error) => !error.includes(OWN_FAULT))
  const counts = JSON.stringify([stood, hubFaults, ends])
  console.log([`seed ${seed}: ${steps} steps, ${counts}`, ...faults, ...unheard].join('\n'))
  expect({ seed, faults, unheard }).toEqual({ seed, faults: [], unheard: [] })
}

async function withHub<Value>(seed: number, use: (host: HubHost) => Promise<Value>): Promise<Value> {
  const host = await HubHost.start(seed)
  return use(host).finally(() => host.close())
}

describe('any call of the public API while the hub comes and goes', () => {
  it.each(seeds(2))('keeps its promises in Node: seed %i', { timeout: LONGEST_MS }, async (seed) => {
    const heard = hearUncaught()
    const report = await withHub(seed, (host) => drive(connect as Connect, host.url, host, seed, STEPS))
    judge(
      report,
      heard.map((error) => (error instanceof Error ? `${error.stack}` : String(error))),
    )
  })

  describe('in Chromium', () => {
    let browser: Browser
    let pages: PageServer
    let script: string
    let source: string
    beforeAll(async () => {
      browser = await launchBrowser()
      pages = await PageServer.start()
      // As in pages.
      source = await readFile('dist/browser/fanfare.js', 'utf8')
      const bundle = (await build({
        configFile: false,
        logLevel: 'warn',
        build: {
          write: false,
          minify: false,
          target: 'es2022',
          lib: { entry: 'test/driver/page.ts', formats: ['es'], fileName: 'driver' },
        },
      })) as Rolldown.RolldownOutput[]
      script = (bundle[0] as Rolldown.RolldownOutput).output[0].code
    })
    afterAll(async () => {
      await browser?.close()
      await pages?.close()
    })

    it.each(seeds(1))('keeps its promises: seed %i', { timeout: LONGEST_MS }, async (seed) => {
      await withHub(seed, async (host) => {
        const page = await browser.newPage()
        await page.exposeFunction('host', (method: 'fault' | 'token' | 'calm') => host[method]())
        await page.goto(pages.url)
        await page.addScriptTag({ content: script, type: 'module' })
        await page.waitForFunction(() => 'drive' in globalThis)
        const { report, uncaught } = (await page.evaluate(
          (given) => (globalThis as unknown as { drive: (...args: unknown[]) => Promise<unknown> }).drive(...given),
          [source, host.url, seed, STEPS],
        )) as { report: Report; uncaught: string[] }
        await page.close()
        judge(report, uncaught)
      })
    })
  })
})
