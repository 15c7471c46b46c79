import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { launchBrowser } from './browser.ts'
import { esbuild } from './esbuild.ts'
import { PhotoDemo } from './photo-demo.ts'

/** How long a busy machine may take; on a free one all is there within seconds. Each look costs the page and the browser time, too. */
export const SOON = { timeout: 60_000, interval: 150 }
export const LAPTOP = { width: 1280, height: 900 }
export const PHONE = { width: 360, height: 740 }

const SOURCES = fileURLToPath(new URL('../../demo/photos/', import.meta.url))
const OUTPUT = fileURLToPath(new URL('../output/', import.meta.url))

/** The photo demo with a browser before it, and what its tabs did that they should not do. */
export class PhotosPage {
  /** What went wrong in any tab. */
  readonly failures: string[] = []
  /** Hosts that any tab asked. */
  readonly requested = new Set<string>()
  readonly demo: PhotoDemo
  private readonly browser: Browser
  private readonly folder: string

  private constructor(demo: PhotoDemo, browser: Browser, folder: string) {
    this.demo = demo
    this.browser = browser
    this.folder = folder
  }

  static async start(): Promise<PhotosPage> {
    const folder = await translated()
    const [demo, browser] = await Promise.all([PhotoDemo.start(0, [join(folder, 'main.js')]), launchBrowser()])
    if (demo.url === '') throw new Error(`The demo did not start: ${demo.output}`)
    return new PhotosPage(demo, browser, folder)
  }

  /** A tab in a context of its own: nothing is shared with other tabs but the hub. `begin` runs in it before the page does. */
  async open(options: BrowserContextOptions = {}, begin?: () => void): Promise<Page> {
    const defaults = { viewport: LAPTOP, colorScheme: 'light', reducedMotion: 'reduce' } as const
    const context = await this.browser.newContext({ ...defaults, ...options })
    if (begin) await context.addInitScript(begin)
    context.on('page', (tab) => {
      tab.on('pageerror', (error) => this.failures.push(String(error.stack)))
      tab.on('request', (request) => this.requested.add(new URL(request.url()).host))
    })
    const page = await context.newPage()
    page.setDefaultTimeout(SOON.timeout)
    await page.goto(this.demo.url)
    await page.locator('aside').getByText('Connected', { exact: true }).waitFor()
    return page
  }

  async end(): Promise<void> {
    await this.browser.close()
    await this.demo.end()
    this.demo.kill()
    rmSync(this.folder, { recursive: true })
  }
}

/** The demo translated once, and not by each of its processes, which would take as long as all else that they do to start. */
async function translated(): Promise<string> {
  mkdirSync(OUTPUT, { recursive: true })
  const folder = mkdtempSync(join(OUTPUT, 'photos-'))
  const files = readdirSync(SOURCES).filter((file) => file.endsWith('.ts'))
  await esbuild.build({
    entryPoints: files.map((file) => join(SOURCES, file)),
    outdir: folder,
    bundle: true,
    splitting: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    target: 'es2022',
  })
  symlinkSync(join(SOURCES, 'dist'), join(folder, 'dist'))
  return folder
}

/** The row of an upload. */
export function uploadOf(page: Page, name: string) {
  return page.locator('.uploads > li', { hasText: name })
}

export function press(page: Page, name: string | RegExp): Promise<void> {
  return page.getByRole('button', { name }).click()
}

export async function numberIn(page: Page, selector: string): Promise<number> {
  return Number((await page.locator(selector).innerText()).replaceAll(',', ''))
}

/** Something other than nothing was drawn. */
export function isDrawn(canvas: Element): boolean {
  const { width, height } = canvas as HTMLCanvasElement
  const context = (canvas as HTMLCanvasElement).getContext('2d') as CanvasRenderingContext2D
  return width > 200 && context.getImageData(0, 0, width, height).data.some((value) => value > 0)
}
