import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { launchBrowser } from '../setup/browser.ts'
import { weakContrasts } from '../setup/contrast.ts'
import { PhotoDemo } from '../setup/photo-demo.ts'
import { decompressionBomb, picture } from '../setup/pictures.ts'

const SHOTS = fileURLToPath(new URL('../output/', import.meta.url))
/** How long a busy machine may take; on a free one all is there within seconds. */
const SOON = { timeout: 60_000, interval: 50 }
const LAPTOP = { width: 1280, height: 900 }
const PHONE = { width: 360, height: 740 }

let demo: PhotoDemo
let browser: Browser
let folder: string
let page: Page
/** What went wrong in any tab. */
const failures: string[] = []
const requested = new Set<string>()

beforeAll(async () => {
  await mkdir(SHOTS, { recursive: true })
  folder = await mkdtemp(join(tmpdir(), 'photos-page-'))
  const [started, launched] = await Promise.all([PhotoDemo.start(), launchBrowser()])
  demo = started
  browser = launched
  expect(demo.url, demo.output).not.toBe('')
  page = await open()
}, 120_000)

afterAll(async () => {
  await browser?.close()
  await demo?.end()
  demo?.kill()
  await rm(folder, { recursive: true, force: true })
})

/** In a context of its own: nothing is shared with other tabs but the hub. */
async function open(viewport = LAPTOP): Promise<Page> {
  const context = await browser.newContext({ viewport, colorScheme: 'light', reducedMotion: 'reduce' })
  context.on('page', watch)
  const opened = await context.newPage()
  opened.setDefaultTimeout(SOON.timeout)
  await opened.goto(demo.url)
  await opened.getByText('Connected', { exact: true }).waitFor()
  return opened
}

function watch(tab: Page): void {
  tab.on('pageerror', (error) => failures.push(String(error.stack)))
  tab.on('request', (request) => requested.add(new URL(request.url()).host))
}

async function shoot(name: string, tab = page): Promise<void> {
  await tab.screenshot({ path: `${SHOTS}photos-${name}.png`, fullPage: true })
}

const section = (id: string) => page.locator(`#${id}`)
const press = (name: string | RegExp) => page.getByRole('button', { name }).click()
const number = async (selector: string) => Number((await page.locator(selector).innerText()).replaceAll(',', ''))

/** The row of an upload. */
const upload = (name: string) => page.locator('.uploads > li', { hasText: name })

describe('the page of the photo demo', { timeout: 90_000 }, () => {
  it('uploads a JPEG, a PNG and a WebP, tells their journeys and shows their thumbnails, in other tabs too', async () => {
    await page.getByLabel('Drop photos here, paste them').setInputFiles([
      { name: 'beach.jpg', mimeType: 'image/jpeg', buffer: await picture('jpeg') },
      { name: 'trees.png', mimeType: 'image/png', buffer: await picture('png') },
      { name: 'lake.webp', mimeType: 'image/webp', buffer: await picture('webp') },
    ])
    const tab = await page.locator('#tab').innerText()
    for (const name of ['beach.jpg', 'trees.png', 'lake.webp']) {
      await upload(name).getByText('This tab was notified').waitFor()
      expect(await upload(name).locator('.journey li').allInnerTexts()).toEqual([
        `Uploaded by ${tab}, and queued`,
        expect.stringMatching(/^thumbnails-\d+ works on it \(attempt 1\)$/),
        expect.stringMatching(/^Thumbnail by thumbnails-\d+ \(attempt 1\), in \d+ ms$/),
        'This tab was notified',
      ])
      expect(await width(upload(name).locator('.preview img'))).toBe(1600)
      await section('notifications').getByText(`Your photo ${name} is ready`).waitFor()
    }
    const [second] = await Promise.all([
      page.context().waitForEvent('page'),
      page.getByRole('link', { name: 'Open a second tab' }).click(),
    ])
    const images = second.locator('#gallery img')
    await expect.poll(() => images.count(), SOON).toBe(3)
    await expect.poll(() => width(images.first()), SOON).toBe(160)
    expect(await second.locator('#tab').innerText()).not.toBe(tab)
    await second.close()
  })

  it('says at each bad file what was wrong with it', async () => {
    await page.getByLabel('Drop photos here, paste them').setInputFiles([
      { name: 'nothing.jpg', mimeType: 'image/jpeg', buffer: Buffer.alloc(0) },
      { name: 'program.jpg', mimeType: 'image/jpeg', buffer: Buffer.from('MZ\x90\0 a renamed executable') },
      { name: 'bomb.png', mimeType: 'image/png', buffer: decompressionBomb() },
    ])
    // From the disk, and without lying on it.
    const huge = join(folder, 'huge.jpg')
    await writeFile(huge, '')
    await truncate(huge, 200 * 1024 * 1024)
    await page.getByLabel('Drop photos here, paste them').setInputFiles(huge)
    const refusal = (name: string) => expect.poll(() => upload(name).locator('.refusal').innerText(), SOON)
    await refusal('nothing.jpg').toMatch(/empty/)
    await refusal('program.jpg').toMatch(/not a JPEG, PNG or WebP/)
    await refusal('bomb.png').toMatch(/pixels/)
    await refusal('huge.jpg').toMatch(/200 MB; the service takes 20 MB/)
  })

  it('takes photos that are dropped and pasted', async () => {
    const bytes = [...(await picture('jpeg', 320, 240))]
    await page.evaluate((all) => {
      const transfer = (name: string) => {
        const data = new DataTransfer()
        data.items.add(new File([new Uint8Array(all)], name, { type: 'image/jpeg' }))
        return data
      }
      const zone = document.querySelector('.dropzone') as HTMLElement
      zone.dispatchEvent(
        new DragEvent('dragover', { dataTransfer: transfer('dropped.jpg'), bubbles: true, cancelable: true }),
      )
      zone.dispatchEvent(
        new DragEvent('drop', { dataTransfer: transfer('dropped.jpg'), bubbles: true, cancelable: true }),
      )
      document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: transfer('pasted.jpg') }))
    }, bytes)
    await upload('dropped.jpg')
      .getByText(/^Thumbnail by/)
      .waitFor()
    await upload('pasted.jpg')
      .getByText(/^Thumbnail by/)
      .waitFor()
  })

  it('shows the queue rise in a spike, workers come, and the queue drain, by keyboard alone', async () => {
    await reach('radio', '0 ms')
    await page.keyboard.press('ArrowRight')
    await section('spike').getByText('Each thumbnail takes 200 ms longer').waitFor()
    await reach('spinbutton', 'Pictures')
    await page.keyboard.press('Control+A')
    await page.keyboard.type('40')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await section('spike').getByText('40 pictures are on their way').waitFor()
    await expect.poll(() => number('#depth'), SOON).toBeGreaterThan(10)
    await expect.poll(() => number('#workers'), SOON).toBeGreaterThan(1)
    expect(await page.locator('[data-node="queue"]').innerText()).toMatch(/to do/)
    await shoot('mid-spike')
    await expect.poll(() => number('#depth'), SOON).toBe(0)
    expect(await number('#peak')).toBeGreaterThan(10)
    expect(await page.locator('#spike line-chart canvas').evaluate(isDrawn)).toBe(true)
  })

  it('keeps as many workers as are chosen', async () => {
    for (const workers of [2, 1]) {
      await page.getByRole('group', { name: 'Thumbnail workers' }).getByText(`${workers}`, { exact: true }).click()
      await expect.poll(() => number('#workers'), SOON).toBe(workers)
    }
    await page.getByRole('group', { name: 'Thumbnail workers' }).getByText('auto').click()
    await section('spike').getByText('As many workers are kept as the hub says').waitFor()
    await page.getByRole('group', { name: 'takes longer' }).getByText('0 ms', { exact: true }).click()
    await section('spike').getByText('as fast as they can be').waitFor()
  })

  it('kills a worker mid-photo, and shows the same photo at another one', async () => {
    await press('Kill a worker now')
    const steps = section('kill').locator('.journey li')
    await expect
      .poll(() => steps.allInnerTexts(), SOON)
      .toContainEqual(expect.stringMatching(/^Thumbnail by .*attempt 2/))
    const texts = await steps.allInnerTexts()
    const [, first] = /^(\S+) works on it \(attempt 1\)/m.exec(texts.join('\n')) ?? []
    const [, second] = /^(\S+) works on it \(attempt 2\)/m.exec(texts.join('\n')) ?? []
    expect(second).not.toBe(first)
    expect(texts).toContain(`${first} was killed while it worked on it`)
    expect(texts).toContainEqual(expect.stringMatching(/^Attempt 1 failed: .*connection.*lost/))
  })

  it('lets a corrupt photo be looked at among the dead letters, and mended', async () => {
    await press('Upload a corrupt photo')
    const letter = section('dead-letters').locator('summary')
    await letter.waitFor()
    await letter.click()
    const text = await section('dead-letters').locator('.letters').innerText()
    expect(text).toMatch(/3 attempts/)
    expect(text).toMatch(/"name": "corrupt-1.jpg"/)
    expect(text).toMatch(/Given up after 3 attempts: .*JPEG/)
    await shoot('dead-letters')
    await press('Redrive as it is')
    await section('dead-letters').getByText('it will be here again').waitFor()
    await section('dead-letters').getByText('No dead letters').waitFor()
    await letter.waitFor()
    await letter.click()
    await press('Mend it and redrive')
    await section('dead-letters').getByText('1 photo back in the queue').waitFor()
    await page.locator('#gallery li', { hasText: 'corrupt-1.jpg' }).locator('img').waitFor()
    await press('Mend all and redrive')
    await section('dead-letters').getByText('0 photos back in the queue').waitFor()
  })

  it('counts the gaps of slow readers by their policies, and the fast one has none', async () => {
    await page.getByLabel('Messages a second').selectOption('1000')
    await press('Send for 10 seconds')
    const lane = (name: string, what: string) => page.locator(`[data-lane="${name}"] .${what}`).innerText()
    for (const policy of ['drop-oldest', 'drop-newest', 'conflate']) {
      await expect.poll(() => lane(policy, 'reasons'), SOON).toMatch(new RegExp(`^Gaps: [\\d,]+ by ${policy}`))
    }
    await expect.poll(() => lane('disconnect', 'reasons'), SOON).toMatch(/hung up on \d+ time/)
    expect(await lane('pause', 'reasons')).toBe('No gap: the log has everything.')
    expect(await lane('pause', 'behind')).not.toBe('0')
    expect(await lane('fast', 'reasons')).toBe('No gap.')
    await page.getByRole('slider', { name: 'A slow reader takes' }).fill('0')
    await expect.poll(() => lane('pause', 'received'), SOON).toBe('10,000')
    expect(await lane('pause', 'gaps')).toBe('0')
    await expect.poll(() => lane('fast', 'received'), SOON).toBe('10,000')
    await press('Disconnect the readers')
    await section('policies').getByText('The readers are disconnected').waitFor()
  })

  it('is cut off, says so, and catches up with all that it missed', async () => {
    await press('Cut this tab off')
    await page.locator('.connection', { hasText: 'Offline' }).waitFor()
    const story = section('network').locator('.story')
    await expect.poll(() => story.innerText(), SOON).toMatch(/Missed (\d+) messages while away, got all \1\./)
    expect(await story.innerText()).toMatch(/[1-9]\d* new photos? among them.*recovered: true/s)
    await page.getByText('Connected', { exact: true }).waitFor()
  })

  it('starts moderation, which works through what was there before', async () => {
    await section('moderation').getByText('none judged yet').waitFor()
    await press('Start moderation now')
    const progress = section('moderation').locator('.progress')
    await expect.poll(() => progress.innerText(), SOON).toMatch(/^(\d+) of \1 photos judged/)
    await expect.poll(() => page.locator('#gallery li').count(), SOON).toBe(36)
    await expect.poll(() => page.locator('#gallery .badge').count(), SOON).toBe(36)
    await press('Stop moderation')
    await section('moderation').getByText('it goes on where it was').waitFor()
    await page.getByRole('button', { name: 'Start moderation now' }).waitFor()
  })

  it('restarts analytics, which has the same counts as before', async () => {
    const uploaded = await number('#uploaded')
    await press('Restart analytics')
    await section('analytics').getByText('A new process counts').waitFor()
    expect(await number('#uploaded')).toBe(uploaded)
    expect(await page.locator('#rebuilt').innerText()).toMatch(/^Rebuilt from [\d,]+ messages in [\d,]+ ms/)
    expect(await page.locator('#analytics line-chart canvas').evaluate(isDrawn)).toBe(true)
  })

  it('reaches every control with the keyboard, and one sees where one is', async () => {
    await page.keyboard.press('Escape')
    await page.evaluate(() => (document.activeElement as HTMLElement).blur())
    const expected = await page.evaluate(() => {
      const all = [...document.querySelectorAll<HTMLElement>('a[href], button, input, select, summary')]
      // Of radio buttons one can be tabbed to, and arrows do the rest.
      const tabbable = all.filter(
        (each) => !(each instanceof HTMLInputElement && each.type === 'radio' && !each.checked),
      )
      return tabbable.map((each) => each.outerHTML)
    })
    const seen = new Set<string>()
    for (let n = 0; n < expected.length + 20; n++) {
      await page.keyboard.press('Tab')
      const { isSeen, html } = await page.evaluate(focused)
      seen.add(html)
      expect(isSeen, html).toBe(true)
    }
    expect(expected.filter((html) => !seen.has(html))).toEqual([])
  })

  it.each([
    ['laptop', LAPTOP],
    ['phone', PHONE],
  ] as const)('can be read on a %s, in light and dark', async (name, viewport) => {
    const tab = await open(viewport)
    await expect.poll(() => tab.locator('#gallery li').count(), SOON).toBe(36)
    await tab.locator('#analytics .figures').waitFor()
    // Pictures load where one looks.
    for (const y of [1000, 2000, 3000, 0]) await tab.evaluate((to) => scrollTo(0, to), y)
    expect(await tab.evaluate(() => document.documentElement.scrollWidth)).toBe(viewport.width)
    for (const colorScheme of ['light', 'dark'] as const) {
      await tab.emulateMedia({ colorScheme })
      expect(await weakContrasts(tab), colorScheme).toEqual([])
      await shoot(`${name}-${colorScheme}`, tab)
    }
    await tab.context().close()
  })

  it('asked nobody but its own host, and nothing failed', () => {
    // Previews come from the page's own memory.
    requested.delete('')
    expect([...requested]).toEqual([new URL(demo.url).host])
    expect(failures).toEqual([])
  })
})

/** By the Tab key, as somebody does who has no mouse. */
async function reach(role: string, name: string): Promise<void> {
  const wanted = page.getByRole(role as 'radio', { name, exact: true })
  await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur())
  for (let n = 0; n < 60; n++) {
    await page.keyboard.press('Tab')
    if (await wanted.evaluate((element) => element === document.activeElement)) return
  }
  throw new Error(`The Tab key does not lead to ${name}`)
}

function width(image: ReturnType<Page['locator']>): Promise<number> {
  return image.evaluate((element) => (element as HTMLImageElement).naturalWidth)
}

/** Something other than nothing was drawn. */
function isDrawn(canvas: Element): boolean {
  const { width, height } = canvas as HTMLCanvasElement
  const context = (canvas as HTMLCanvasElement).getContext('2d') as CanvasRenderingContext2D
  return width > 200 && context.getImageData(0, 0, width, height).data.some((value) => value > 0)
}

/** What has the focus, and whether that can be seen: on itself or on what stands for it. */
function focused(): { isSeen: boolean; html: string } {
  const element = document.activeElement as HTMLElement
  const shown = [element, element.nextElementSibling, element.closest('.dropzone')]
  const isSeen = shown.some((each) => each && getComputedStyle(each).outlineStyle === 'solid')
  return { isSeen: isSeen || element === document.body, html: element.outerHTML }
}
