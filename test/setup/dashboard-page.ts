import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import axe from 'axe-core'
import type { Browser, Locator, Page } from 'playwright-core'
import { expect } from 'vitest'
import { launchBrowser, PAGE_TIMEOUT_MS } from './browser.ts'
import { startWorld, type World } from './dashboard-world.ts'

const OUTPUT = fileURLToPath(new URL('../output', import.meta.url))

/** The hub works out its figures once a second: looking at the page more often only takes CPU time. */
export const eventually = <Value>(ask: () => Value | Promise<Value>) => expect.poll(ask, { interval: 250 })

/** A number as the page shows it. */
export const whole = (text: string | null) => Number((text ?? '').replaceAll(',', ''))

/** The dashboard of a busy hub in Chromium. */
export class Dashboard {
  readonly world: World
  readonly browser: Browser
  readonly page: Page
  readonly folder: string
  /** Requests to other hosts, errors of the page and of its policy. */
  readonly complaints: string[] = []

  private constructor(world: World, browser: Browser, page: Page, folder: string) {
    this.world = world
    this.browser = browser
    this.page = page
    this.folder = folder
  }

  static async open(): Promise<Dashboard> {
    const folder = await mkdtemp(join(tmpdir(), 'fanfare-dashboard-'))
    await mkdir(OUTPUT, { recursive: true })
    const [world, browser] = await Promise.all([startWorld(0, folder), launchBrowser()])
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } })
    page.setDefaultTimeout(PAGE_TIMEOUT_MS)
    const dashboard = new Dashboard(world, browser, page, folder)
    dashboard.listen()
    await page.goto(dashboard.address)
    return dashboard
  }

  private listen(): void {
    this.page.on('console', (message) => {
      // Those of a hub that is being restarted are the browser's own words.
      if (message.type() === 'error' && !/ERR_CONNECTION|WebSocket connection/.test(message.text()))
        this.complaints.push(message.text())
    })
    this.page.on('pageerror', (error) => this.complaints.push(String(error.stack)))
    this.page.on('request', (request) => {
      if (new URL(request.url()).host !== `127.0.0.1:${this.world.port}`)
        this.complaints.push(`asked for ${request.url()}`)
    })
  }

  get address(): string {
    return `http://127.0.0.1:${this.world.port}/`
  }

  async go(hash: string): Promise<void> {
    await this.page.evaluate((to) => {
      location.hash = to
    }, hash)
  }

  call<Result>(method: string, params?: object): Promise<Result> {
    return this.world.client.call(method, params) as Promise<Result>
  }

  row(name: string): Locator {
    return this.page.locator('tbody tr', { hasText: name }).first()
  }

  figure(label: string): Locator {
    return this.page.locator('.figure', { has: this.page.locator(`dt:text-is("${label}")`) })
  }

  button(name: string | RegExp): Locator {
    return this.page.getByRole('button', { name })
  }

  dialog(): Locator {
    return this.page.getByRole('dialog')
  }

  async answer(button: string, typed?: string): Promise<void> {
    if (typed !== undefined) await this.dialog().getByRole('textbox').fill(typed)
    await this.dialog().getByRole('button', { name: button }).click()
  }

  async shot(name: string): Promise<void> {
    await this.page.screenshot({ path: join(OUTPUT, `dashboard-${name}.png`) })
  }

  /** What axe-core finds wrong with the page as it is now, by all of its rules or by one. */
  async violations(rule?: string): Promise<string[]> {
    await this.page.evaluate(axe.source)
    return this.page.evaluate(async (rule) => {
      const { axe } = globalThis as unknown as { axe: typeof import('axe-core') }
      const { violations } = await axe.run(rule === undefined ? {} : { runOnly: [rule] })
      return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 150)).join(' | ')}`)
    }, rule)
  }

  async close(): Promise<void> {
    await this.browser.close()
    await this.world.close()
    await rm(this.folder, { recursive: true, force: true })
  }
}
