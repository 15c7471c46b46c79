import type { Page } from 'playwright-core'

/** Texts of a page with less contrast than WCAG AA requires, with their ratio. */
export function weakContrasts(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    type Colour = [number, number, number, number]
    const parse = (text: string): Colour => {
      const [r = 0, g = 0, b = 0, a = 1] = (text.match(/[\d.]+/g) ?? []).map(Number)
      return [r, g, b, a]
    }
    const over = ([r, g, b, a]: Colour, [R, G, B]: Colour): Colour => {
      const mix = (top: number, under: number) => top * a + under * (1 - a)
      return [mix(r, R), mix(g, G), mix(b, B), 1]
    }
    const ground = (element: Element | null): Colour => {
      if (!element) return [255, 255, 255, 1]
      const colour = parse(getComputedStyle(element).backgroundColor)
      return colour[3] === 1 ? colour : over(colour, ground(element.parentElement))
    }
    const luminance = (colour: Colour) => {
      const [r = 0, g = 0, b = 0] = colour
        .slice(0, 3)
        .map((each) => each / 255)
        .map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4))
      return 0.2126 * r + 0.7152 * g + 0.0722 * b
    }
    const weak: string[] = []
    for (const element of document.body.querySelectorAll('*')) {
      const text = [...element.childNodes]
        .filter((node) => node.nodeType === Node.TEXT_NODE)
        .map((node) => node.nodeValue)
      const words = text.join('').trim()
      if (words === '' || !element.checkVisibility({ opacityProperty: true })) continue
      const style = getComputedStyle(element)
      const under = ground(element)
      const lights = [luminance(over(parse(style.color), under)), luminance(under)] as const
      const ratio = (Math.max(...lights) + 0.05) / (Math.min(...lights) + 0.05)
      const size = Number.parseFloat(style.fontSize)
      const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700)
      if (ratio < (isLarge ? 3 : 4.5)) weak.push(`${ratio.toFixed(2)} ${words.slice(0, 40)}`)
    }
    return weak
  })
}
