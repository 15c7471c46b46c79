import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { weakContrasts } from '../setup/contrast.ts'
import { isDrawn, LAPTOP, numberIn, PHONE, PhotosPage, press, SOON, uploadOf } from '../setup/photos-page.ts'
import { decompressionBomb, picture } from '../setup/pictures.ts'

const SHOTS = fileURLToPath(new URL('../output/', import.meta.url))
const CHOOSE = 'Drop photos here, paste them'

let photos: PhotosPage
let folder: string
let page: Page

beforeAll(async () => {
  await mkdir(SHOTS, { recursive: true })
  folder = await mkdtemp(join(tmpdir(), 'photos-page-'))
  photos = await PhotosPage.start()
  page = await photos.open()
}, 120_000)

afterAll(async () => {
  await photos?.end()
  await rm(folder, { recursive: true, force: true })
})

async function shoot(name: string, tab = page): Promise<void> {
  await tab.screenshot({ path: `${SHOTS}photos-${name}.png`, fullPage: true })
}

const section = (id: string) => page.locator(`#${id}`)
const upload = (name: string) => uploadOf(page, name)
const tile = (name: string) => page.locator('#gallery li', { hasText: name })

describe('the page of the photo demo', () => {
  it('uploads a JPEG, a PNG and a WebP, tells their journeys and shows their thumbnails, in other tabs too', async () => {
    await page.getByLabel(CHOOSE).setInputFiles([
      { name: 'beach.jpg', mimeType: 'image/jpeg', buffer: await picture('jpeg') },
      { name: 'trees.png', mimeType: 'image/png', buffer: await picture('png') },
      { name: 'lake.webp', mimeType: 'image/webp', buffer: await picture('webp') },
    ])
    const tab = await page.locator('#tab').innerText()
    for (const name of ['beach.jpg', 'trees.png', 'lake.webp']) {
      await upload(name).getByText('This tab was notified').waitFor()
      expect(await upload(name).locator('.what').allInnerTexts()).toEqual([
        `Uploaded by ${tab}, and queued`,
        expect.stringMatching(/^thumbnails-\d+ works on it \(attempt 1\)$/),
        expect.stringMatching(/^Thumbnail by thumbnails-\d+ \(attempt 1\), in \d+ ms$/),
        'This tab was notified',
      ])
      const [uploaded, ...later] = await upload(name).locator('.when').allInnerTexts()
      expect(uploaded).toMatch(/^\d\d:\d\d:\d\d$/)
      for (const when of later) expect(when).toMatch(/^\+\d+\.\d s$/)
      expect(await width(upload(name).locator('.preview img'))).toBe(1600)
      await section('notifications').getByText(`Your photo ${name} is ready`).waitFor()
    }
    for (const time of await page.locator('.notices time').allInnerTexts()) expect(time).toMatch(/^\d\d:\d\d:\d\d$/)
    const [second] = await Promise.all([
      page.context().waitForEvent('page'),
      page.getByRole('link', { name: 'Open a second tab' }).click(),
    ])
    const images = second.locator('#gallery img')
    await expect.poll(() => images.count(), SOON).toBe(3)
    // Pictures load where one looks.
    await images.first().scrollIntoViewIfNeeded()
    await expect.poll(() => width(images.first()), SOON).toBe(160)
    expect(await second.locator('#tab').innerText()).not.toBe(tab)
    await second.close()
  })

  it('says at each bad file what was wrong with it', async () => {
    await page.getByLabel(CHOOSE).setInputFiles([
      { name: 'nothing.jpg', mimeType: 'image/jpeg', buffer: Buffer.alloc(0) },
      { name: 'program.jpg', mimeType: 'image/jpeg', buffer: Buffer.from('MZ\x90\0 a renamed executable') },
      { name: 'bomb.png', mimeType: 'image/png', buffer: decompressionBomb() },
    ])
    // From the disk, and without lying on it.
    const huge = join(folder, 'huge.jpg')
    await writeFile(huge, '')
    await truncate(huge, 200 * 1024 * 1024)
    await page.getByLabel(CHOOSE).setInputFiles(huge)
    const refusal = (name: string) => expect.poll(() => upload(name).locator('.refusal').innerText(), SOON)
    await refusal('nothing.jpg').toMatch(/empty/)
    await refusal('program.jpg').toMatch(/not a JPEG, PNG or WebP/)
    await refusal('bomb.png').toMatch(/pixels/)
    await refusal('huge.jpg').toMatch(/200 MB; the maximum is 20 MB/)
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
      const init = { dataTransfer: transfer('dropped.jpg'), bubbles: true, cancelable: true }
      zone.dispatchEvent(new DragEvent('dragover', init))
      zone.dispatchEvent(new DragEvent('drop', init))
      document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: transfer('pasted.jpg') }))
    }, bytes)
    for (const name of ['dropped.jpg', 'pasted.jpg']) {
      await upload(name)
        .getByText(/^Thumbnail by/)
        .waitFor()
    }
  })

  it('shows the queue rise in a spike, workers come, and the queue drain', async () => {
    await page.getByRole('group', { name: 'Delay per thumbnail' }).getByText('200 ms', { exact: true }).click()
    await section('spike').getByText('Each thumbnail takes 200 ms longer').waitFor()
    await page.getByLabel('Pictures (1 to 2,000)').fill('40')
    await press(page, 'Upload 40 pictures')
    await section('spike').getByText('40 pictures are being uploaded').waitFor()
    await expect.poll(() => numberIn(page, '#depth'), SOON).toBeGreaterThan(10)
    // At once: on a busy machine the queue may be empty again by the time the second worker has started.
    expect(await page.locator('[data-node="queue"]').innerText()).toMatch(/\d+ ready, \d+ unacked/)
    expect(await page.locator('#gallery-state').innerText()).toMatch(/\d+ in the queue/)
    await shoot('mid-spike')
    await expect.poll(() => numberIn(page, '#workers'), SOON).toBeGreaterThan(1)
    await expect.poll(() => numberIn(page, '#depth'), SOON).toBe(0)
    expect(await numberIn(page, '#peak')).toBeGreaterThan(10)
    for (const canvas of await page.locator('#spike line-chart canvas').all()) {
      expect(await canvas.evaluate(isDrawn)).toBe(true)
    }
  })

  it('keeps as many workers as are chosen', async () => {
    for (const workers of [2, 1]) {
      await page.getByRole('group', { name: 'Thumbnail workers' }).getByText(`${workers}`, { exact: true }).click()
      await expect.poll(() => numberIn(page, '#workers'), SOON).toBe(workers)
    }
    await page.getByRole('group', { name: 'Thumbnail workers' }).getByText('auto').click()
    await section('spike').getByText('The number of workers follows the hub').waitFor()
    await page.getByRole('group', { name: 'Delay per thumbnail' }).getByText('0 ms', { exact: true }).click()
    await section('spike').getByText('without a delay').waitFor()
  })

  it('kills a worker mid-photo, and shows the same photo at another one', async () => {
    await press(page, 'Kill a worker now')
    const steps = section('kill').locator('.what')
    await expect
      .poll(() => steps.allInnerTexts(), SOON)
      .toContainEqual(expect.stringMatching(/^Thumbnail by .*attempt 2/))
    const texts = await steps.allInnerTexts()
    const [, first] = /^(\S+) works on it \(attempt 1\)/m.exec(texts.join('\n')) ?? []
    const [, second] = /^(\S+) works on it \(attempt 2\)/m.exec(texts.join('\n')) ?? []
    expect(second).not.toBe(first)
    expect(texts).toContain(`${first} was killed while working on it`)
    expect(texts).toContainEqual(expect.stringMatching(/^Attempt 1 failed: .*connection.*lost/))
  })

  const lane = (name: string, what: string) => page.locator(`[data-lane="${name}"] :is(dd, p).${what}`).innerText()

  it('counts the gaps of slow readers by their policies; the fast one has none, also on a page that is held up', async () => {
    await page.getByLabel('Messages per second').selectOption('1000')
    await press(page, 'Send for 10 seconds')
    await expect.poll(() => numberIn(page, '[data-lane="fast"] .received'), SOON).toBeGreaterThan(0)
    await page.evaluate(() => {
      for (const end = Date.now() + 3000; Date.now() < end; );
    })
    for (const policy of ['drop-oldest', 'drop-newest', 'conflate']) {
      await expect.poll(() => lane(policy, 'reasons'), SOON).toMatch(new RegExp(`^Gaps: [\\d,]+ by ${policy}`))
    }
    await expect.poll(() => lane('disconnect', 'reasons'), SOON).toMatch(/Disconnected \d+ time/)
    expect(await lane('pause', 'reasons')).toBe('No gap: the stream has everything.')
    expect(await lane('pause', 'behind')).not.toBe('0')
    expect(await lane('fast', 'reasons')).toBe('No gap: the stream has everything.')
    const words = await page.getByRole('img', { name: /messages? read, [\d,]+ not read yet, [\d,]+ dropped/ }).count()
    expect(words).toBe(6)
  })

  // While the readers run.
  it('lets a corrupt photo be looked at among the dead letters, and mended', async () => {
    await press(page, 'Upload a corrupt photo')
    const letter = section('dead-letters').locator('summary')
    await letter.waitFor()
    await letter.click()
    const text = await section('dead-letters').locator('.letters').innerText()
    expect(text).toMatch(/3 attempts/)
    expect(text).toMatch(/"name": "corrupt-1.jpg"/)
    expect(text).toMatch(/Given up after 3 attempts: .*JPEG/)
    await expect.poll(() => tile('corrupt-1.jpg').innerText(), SOON).toMatch(/^given up/)
    await shoot('dead-letters')
    await press(page, 'Redrive without repair')
    await section('dead-letters').getByText('it will be given up again').waitFor()
    await section('dead-letters').getByText('No dead letters').waitFor()
    await expect.poll(() => tile('corrupt-1.jpg').count(), SOON).toBe(0)
    await letter.waitFor()
    await letter.click()
    await press(page, 'Repair and redrive')
    await section('dead-letters').getByText('1 file repaired; 1 photo back in the queue').waitFor()
    await tile('corrupt-1.jpg').locator('img').waitFor()
    const kinds = await page.locator('#followed li').evaluateAll((steps) => steps.map(({ className }) => className))
    expect(kinds.filter((kind) => ['dead', 'redriven', 'ready'].includes(kind))).toEqual([
      'dead',
      'redriven',
      'dead',
      'redriven',
      'ready',
    ])
    await press(page, 'Repair all and redrive')
    await section('dead-letters').getByText('There is nothing to repair').waitFor()
  })

  it('has readers catch up that lose nothing, and says of all of them that they were disconnected', async () => {
    const send = page.getByRole('button', { name: 'Send for 10 seconds' })
    const before = await send.evaluate(placeInCard)
    await page.getByRole('slider', { name: 'A slow reader takes' }).fill('0')
    await expect.poll(() => lane('pause', 'received'), SOON).toBe('10,000')
    expect(await lane('pause', 'gaps')).toBe('0')
    await expect.poll(() => lane('fast', 'received'), SOON).toBe('10,000')
    expect(await lane('fast', 'gaps')).toBe('0')
    for (const policy of ['drop-oldest', 'drop-newest', 'conflate']) {
      await expect.poll(() => lane(policy, 'behind'), SOON).toBe('0')
      const [read, dropped] = [await lane(policy, 'received'), await lane(policy, 'gaps')]
      expect(Number(read.replace(',', '')) + Number(dropped.replace(',', ''))).toBe(10_000)
      expect(await lane(policy, 'reasons')).toContain(`${dropped} by ${policy}`)
    }
    await press(page, 'Disconnect the readers')
    await section('policies').getByText('The readers are disconnected').waitFor()
    expect(await page.locator('.lane .state').allInnerTexts()).toEqual(Array(6).fill('disconnected'))
    expect(await send.evaluate(placeInCard)).toEqual(before)
  })

  it('is cut off, and says so', async () => {
    const title = await page.locator('h1').boundingBox()
    await press(page, 'Cut this tab off')
    const state = page.locator('aside .connection')
    await expect.poll(() => state.innerText(), SOON).toBe('Offline: reconnecting…')
    await expect.poll(() => section('network').locator('.connection').innerText(), SOON).toBe('Offline: reconnecting…')
    expect(await page.locator('h1').boundingBox()).toEqual(title)
  })

  // While the other tab is away.
  it('can be read on a laptop and on a phone, in light and dark', async () => {
    const tab = await photos.open()
    await expect.poll(() => tab.locator('#gallery li[data-photo]').count(), SOON).toBe(24)
    await tab.locator('#analytics .figures').waitFor()
    for (const [name, viewport] of [
      ['laptop', LAPTOP],
      ['phone', PHONE],
    ] as const) {
      await tab.setViewportSize(viewport)
      expect(await tab.evaluate(() => document.documentElement.scrollWidth)).toBe(viewport.width)
      for (const colorScheme of ['light', 'dark'] as const) {
        await tab.emulateMedia({ colorScheme })
        expect(await weakContrasts(tab), `${name}, ${colorScheme}`).toEqual([])
        await shoot(`${name}-${colorScheme}`, tab)
      }
    }
    await tab.context().close()
  })

  it('catches up with all that it missed', async () => {
    const story = section('network').locator('.story')
    await expect.poll(() => story.innerText(), SOON).toMatch(/Missed (\d+) messages while offline, received all \1\./)
    expect(await story.innerText()).toMatch(/12 new photos.*recovered: true/s)
    await page.locator('aside').getByText('Connected', { exact: true }).waitFor()
  })

  it('starts moderation, which works through what was there before, and flags some', async () => {
    await section('moderation').getByText('It has not been started yet').waitFor()
    await section('moderation').getByText('none judged yet').waitFor()
    await press(page, 'Start moderation now')
    const progress = section('moderation').locator('.progress')
    await expect.poll(() => progress.innerText(), SOON).toMatch(/^(\d+) of \1 photos judged, [1-9]\d* flagged/)
    await section('moderation').getByText('It is running').waitFor()
    expect(await page.locator('.flags li').first().innerText()).toMatch(/^\S+ flagged\. It is almost/m)
    await expect.poll(() => page.locator('#gallery .badge').count(), SOON).toBe(24)
    await press(page, 'Stop moderation')
    await section('moderation').getByText('it resumes at its cursor').waitFor()
    await section('moderation').getByText('It is stopped').waitFor()
    await page.getByRole('button', { name: 'Start moderation now' }).waitFor()
    // Half a minute later its worker is forgotten: here at once, as its last word expires.
    const client = photos.demo.tab('tests')
    const worker = (await page.locator('[data-node="moderation"] .who').innerText()) ?? ''
    const last = { worker, service: 'moderation', pid: 1, state: 'stopped' } as const
    await client.publish('stage.workers', last, { key: worker, expiresAt: Date.now() + 100 })
    await client.close()
    await new Promise((resolve) => setTimeout(resolve, 150))
    await page.reload()
    await page.locator('[data-node="moderation"]').getByText('stopped', { exact: true }).waitFor()
  })

  it('restarts analytics, which has the same counts as before', async () => {
    await expect.poll(() => page.locator('#uploaded').count(), SOON).toBe(1)
    const uploaded = await page.locator('#uploaded').innerText()
    const rebuilt = await page.locator('#rebuilt').innerText()
    await press(page, 'Restart analytics')
    await section('analytics').getByText(`A new process has counted ${uploaded} uploads, as many as before.`).waitFor()
    expect(await page.locator('#uploaded').innerText()).toBe(uploaded)
    expect(await page.locator('#rebuilt').innerText()).toMatch(/^Rebuilt by analytics-\d+ from [\d,]+ messages in /)
    expect(await page.locator('#rebuilt').innerText()).not.toBe(rebuilt)
    expect(await page.locator('#analytics line-chart canvas').evaluate(isDrawn)).toBe(true)
  })

  it('sent requests to its own host only, and nothing failed', () => {
    // Previews come from the page's own memory.
    photos.requested.delete('')
    expect([...photos.requested]).toEqual([new URL(photos.demo.url).host])
    expect(photos.failures).toEqual([])
  })
})

function width(image: ReturnType<Page['locator']>): Promise<number> {
  return image.evaluate((element) => (element as HTMLImageElement).naturalWidth)
}

function placeInCard(element: Element): [number, number] {
  const card = element.closest('.card') as Element
  const [{ left, top }, within] = [element.getBoundingClientRect(), card.getBoundingClientRect()]
  return [left - within.left, top - within.top]
}
