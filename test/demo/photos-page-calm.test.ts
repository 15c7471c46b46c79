import axe from 'axe-core'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { numberIn, PHONE, PhotosPage, press, SOON, uploadOf } from '../setup/photos-page.ts'
import { picture } from '../setup/pictures.ts'

declare global {
  interface Window {
    /** What charts have written on their axes. */
    drawn: string[]
    /** What has been seen of the page since the last `watch`. */
    seen: { tops: Record<string, number[]>; widths: number[]; toasts: string[]; lit: boolean; dots: string[] }
    watching: number
  }
}

let photos: PhotosPage
let page: Page

beforeAll(async () => {
  photos = await PhotosPage.start()
  page = await photos.open({}, () => {
    window.drawn = []
    const { fillText } = CanvasRenderingContext2D.prototype
    CanvasRenderingContext2D.prototype.fillText = function (...args) {
      window.drawn.push(args[0])
      fillText.apply(this, args)
    }
  })
}, 120_000)

afterAll(() => photos?.end())

const spike = () => page.locator('#spike')

describe('the page of the photo demo, for those who look and those who type', () => {
  it('is right from the beginning: its hours, what is chosen, what was not started', async () => {
    // From no value on.
    await expect.poll(() => page.locator('#depth').innerText(), SOON).toBe('0')
    const hours = await page.evaluate(() => window.drawn.filter((text) => text.includes(':')))
    expect(hours.length).toBeGreaterThan(0)
    const now = Date.now()
    const near = (hour: string) => [0, 24].some((days) => Math.abs(timeOf(hour, now) - days * 3_600_000) < 600_000)
    expect(hours.filter((hour) => !near(hour))).toEqual([])
    await expect.poll(() => page.locator('#spike input[name="slow"]:checked').count(), SOON).toBe(1)
    expect(await page.locator('#spike input[name="slow"]:checked').inputValue()).toBe('0')
    expect(await page.locator('.lane .state').allInnerTexts()).toEqual(Array(6).fill('not connected yet'))
  })

  it('leads from lesson to lesson and into the spike by a few keys', async () => {
    await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur())
    const link = page.getByRole('navigation').getByRole('link', { name: 'A spike of uploads' })
    let tabs = 0
    for (; !(await link.evaluate((element) => element === document.activeElement)); tabs++) {
      expect(tabs).toBeLessThan(12)
      await page.keyboard.press('Tab')
    }
    await page.keyboard.press('Enter')
    await page.keyboard.press('Tab')
    await page.keyboard.type('5000')
    const field = page.getByRole('spinbutton')
    await expect.poll(() => field.getAttribute('aria-invalid'), SOON).toBe('true')
    await page.getByRole('button', { name: 'Upload pictures' }).press('Enter')
    await spike().getByText('Enter an integer from 1 to 2,000.').waitFor()
    await field.focus()
    await page.keyboard.press('Control+A')
    await page.keyboard.type('60')
    await expect.poll(() => field.getAttribute('aria-invalid'), SOON).toBe('false')
  })

  it('keeps every lesson where it is while a spike passes, without the help of the browser, and calls no one', async () => {
    const phone = await photos.open({ viewport: PHONE })
    for (const tab of [page, phone]) {
      await tab.locator('#analytics .figures').waitFor()
      await tab.addStyleTag({ content: '* { overflow-anchor: none !important }' })
      await tab.evaluate(() => document.querySelector('#spike')?.scrollIntoView())
      await tab.evaluate(watch)
    }
    await press(page, 'Upload 60 pictures')
    await expect.poll(() => numberIn(page, '#peak'), SOON).toBeGreaterThan(0)
    await expect.poll(() => page.locator('#gallery img').count(), SOON).toBe(24)
    await expect.poll(() => numberIn(page, '#depth'), SOON).toBe(0)
    await spike().getByText('60 pictures are being uploaded').waitFor()
    const { tops, toasts, dots, at, away } = await page.evaluate(stopWatching)
    const onPhone = await phone.evaluate(stopWatching)
    await phone.context().close()
    expect(Object.keys(tops)).toHaveLength(11)
    for (const [id, seen] of [...Object.entries(tops), ...Object.entries(onPhone.tops)]) {
      expect([id, ...seen]).toEqual([id, seen[0]])
    }
    expect(onPhone.widths).toEqual([PHONE.width])
    expect(at).toBeCloseTo(0, -2)
    expect(toasts).toEqual([])
    // A worker at work does not look like one in trouble.
    expect(dots.length).toBeGreaterThan(0)
    expect(dots.filter((colour) => away.includes(colour))).toEqual([])
  })

  it('tells of a photo of this tab over the page only while its own place is out of sight', async () => {
    const uploadOne = async (name: string) => {
      const buffer = await picture('jpeg', 320, 240)
      await page.getByLabel('Drop photos here').setInputFiles({ name, mimeType: 'image/jpeg', buffer })
      await uploadOf(page, name).getByText('This tab was notified').waitFor()
    }
    await page.evaluate(watch)
    await uploadOne('far.jpg')
    await page.locator('.toast', { hasText: 'Your photo far.jpg is ready' }).waitFor()
    await page.setViewportSize(PHONE)
    await page.evaluate(() => document.querySelector('#drop')?.scrollIntoView())
    await expect.poll(() => page.locator('.toast').count(), SOON).toBe(0)
    await uploadOne('near.jpg')
    const { toasts } = await page.evaluate(stopWatching)
    expect(toasts).toEqual(['Your photo far.jpg is ready'])
    await page.setViewportSize({ width: 1280, height: 900 })
  })

  it('has the gallery as one stop of the Tab key, in which arrows lead on, and holds it still meanwhile', async () => {
    const links = page.locator('#gallery .tiles a')
    expect(await page.locator('#gallery .tiles a[tabindex="0"]').count()).toBe(1)
    await page.locator('#gallery .tiles a[tabindex="0"]').focus()
    const isFocused = (at: number) => links.nth(at).evaluate((element) => element === document.activeElement)
    for (const [key, at] of [
      ['ArrowRight', 1],
      ['ArrowDown', 9],
      ['ArrowLeft', 8],
      ['End', 23],
      ['Home', 0],
    ] as const) {
      await page.keyboard.press(key)
      expect([key, await isFocused(at)]).toEqual([key, true])
    }
    const names = await page.locator('#gallery li p').allInnerTexts()
    await page.getByLabel('Drop photos here').setInputFiles({
      name: 'new.jpg',
      mimeType: 'image/jpeg',
      buffer: await picture('jpeg', 320, 240),
    })
    await uploadOf(page, 'new.jpg').getByText('This tab was notified').waitFor()
    expect(await page.locator('#gallery li p').allInnerTexts()).toEqual(names)
    expect(await isFocused(0)).toBe(true)
    await page.keyboard.press('Tab')
    await page.locator('#gallery li', { hasText: 'new.jpg' }).waitFor()
  })

  it('reaches every control with the keyboard, and one sees where one is', async () => {
    // Analytics publishes meanwhile, and has nothing new to say: it has counted all.
    const counted = () => page.locator('#analytics dd').allInnerTexts()
    await expect.poll(counted, SOON).toEqual(['63', '63', expect.anything()])
    await expect.poll(() => page.locator('[data-node="analytics"].lit').count(), SOON).toBe(0)
    await page.evaluate(watch)
    await page.evaluate(() => (document.activeElement as HTMLElement).blur())
    const expected = await page.evaluate(() => {
      const all = [...document.querySelectorAll<HTMLElement>('a[href], button, input, select, summary')]
      // Of radio buttons and of photos one can be tabbed to, and arrows do the rest.
      const tabbable = all.filter(
        (each) => each.tabIndex >= 0 && !(each instanceof HTMLInputElement && each.type === 'radio' && !each.checked),
      )
      return tabbable.map((each) => each.outerHTML)
    })
    expect(expected.length).toBeLessThan(45)
    const seen = new Set<string>()
    for (let n = 0; n < expected.length + 10; n++) {
      await page.keyboard.press('Tab')
      const { isSeen, html } = await page.evaluate(focused)
      seen.add(html)
      expect(isSeen, html).toBe(true)
    }
    expect(expected.filter((html) => !seen.has(html))).toEqual([])
    expect((await page.evaluate(stopWatching)).lit).toBe(false)
  })

  it('keeps its meanings in forced colours', async () => {
    await page.emulateMedia({ forcedColors: 'active' })
    const looks = await page.evaluate(() => {
      const style = (selector: string, pseudo?: string) =>
        getComputedStyle(document.querySelector(selector) as Element, pseudo)
      return {
        ground: style('.card').backgroundColor,
        dot: style('aside .dot').backgroundColor,
        chosen: style('.choice input:checked + span').backgroundColor,
        other: style('.choice input:not(:checked) + span').backgroundColor,
        swatches: [...document.querySelectorAll('#spike .legend li')].map(
          (each) => getComputedStyle(each, '::before').borderTopColor,
        ),
        parts: ['read', 'dropped', 'behind'].map((part) => {
          const { backgroundColor, backgroundImage } = style(`.parts .${part}`, '::before')
          return `${backgroundColor} ${backgroundImage}`
        }),
      }
    })
    expect(looks.dot).not.toBe(looks.ground)
    expect(looks.chosen).not.toBe(looks.other)
    expect(new Set(looks.swatches).size).toBe(3)
    expect(new Set(looks.parts).size).toBe(3)
  })

  it('has nothing that axe-core objects to, in light, dark and forced colours', async () => {
    await page.evaluate(axe.source)
    for (const media of [{}, { forcedColors: 'none', colorScheme: 'light' }, { colorScheme: 'dark' }] as const) {
      await page.emulateMedia(media)
      const violations = await page.evaluate(async () => {
        const { axe } = globalThis as unknown as { axe: typeof import('axe-core') }
        const { violations } = await axe.run()
        return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)
      })
      expect(violations, JSON.stringify(media)).toEqual([])
    }
  })

  it('failed nowhere', () => {
    expect(photos.failures).toEqual([])
  })
})

/** Looks at the page in each frame until `stopWatching`. */
function watch(): void {
  window.seen = { tops: {}, widths: [], toasts: [], lit: false, dots: [] }
  const add = <T>(list: T[], value: T) => list.includes(value) || list.push(value)
  const look = () => {
    for (const card of document.querySelectorAll('.card')) {
      const tops = window.seen.tops[card.id] ?? []
      window.seen.tops[card.id] = tops
      add(tops, Math.round(card.getBoundingClientRect().top + scrollY))
    }
    add(window.seen.widths, document.documentElement.scrollWidth)
    for (const toast of document.querySelectorAll('.toast')) add(window.seen.toasts, toast.textContent?.trim() ?? '')
    for (const dot of document.querySelectorAll('.worker.working .dot')) {
      add(window.seen.dots, getComputedStyle(dot).backgroundColor)
    }
    if (document.querySelector('[data-node="analytics"].lit')) window.seen.lit = true
    window.watching = requestAnimationFrame(look)
  }
  look()
}

/** What was seen, where the spike is in the window now, and the colours of errors and of buttons. */
function stopWatching() {
  cancelAnimationFrame(window.watching)
  const probe = document.body.appendChild(document.createElement('i'))
  const away = ['--bad', '--accent', '--good'].map((name) => {
    probe.style.color = `var(${name})`
    return getComputedStyle(probe).color
  })
  probe.remove()
  return { ...window.seen, away, at: document.querySelector('#spike')?.getBoundingClientRect().top }
}

/** What has the focus, and whether that can be seen: on itself or on what stands for it. */
function focused(): { isSeen: boolean; html: string } {
  const element = document.activeElement as HTMLElement
  const shown = [element, element.nextElementSibling, element.closest('.dropzone')]
  const isSeen = shown.some((each) => each && getComputedStyle(each).outlineStyle === 'solid')
  return { isSeen: isSeen || element === document.body, html: element.outerHTML }
}

/** How long before or after `now` a time of day is, in milliseconds. */
function timeOf(hour: string, now: number): number {
  const [hours = 0, minutes = 0, seconds = 0] = hour.split(':').map(Number)
  return Math.abs(new Date(now).setHours(hours, minutes, seconds) - now)
}
