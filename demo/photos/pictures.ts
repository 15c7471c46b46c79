import sharp from 'sharp'
import type { Photo } from './contract.ts'

/** Generated pictures, for people without one at hand. */

/** How many are drawn. Further ones look the same and differ in bytes, which is cheaper. */
const DRAWINGS = 24
/** Drawings that moderation flags: taken in the dark, and with a finger in front of the lens. */
const DARK: readonly number[] = [4, 14]
const PLAIN: readonly number[] = [9, 19]
const WIDTH = 400
const HEIGHT = 300

const drawn = new Map<number, Promise<Buffer>>()

/** A small JPEG whose bytes differ for each number. */
export async function picture(n: number): Promise<Buffer> {
  const which = n % DRAWINGS
  const jpeg = drawn.get(which) ?? draw(which, 'jpeg')
  drawn.set(which, jpeg)
  // After its end mark a JPEG may contain anything.
  return Buffer.concat([await jpeg, Buffer.from(`${n}`)])
}

/** Starts like a JPEG and ends in the middle: its header can be read, but the picture cannot. */
export async function corruptPicture(): Promise<Buffer> {
  const noise = { type: 'gaussian', mean: 128, sigma: 50 } as const
  const whole = await sharp({ create: { width: WIDTH, height: HEIGHT, channels: 3, background: 'grey', noise } })
    .jpeg()
    .toBuffer()
  return whole.subarray(0, Math.floor(whole.length / 2))
}

/** A picture that replaces one that cannot be read. */
export function finePicture(type: Photo['type']): Promise<Buffer> {
  return draw(5, type.slice('image/'.length) as 'jpeg' | 'png' | 'webp')
}

function draw(n: number, format: 'jpeg' | 'png' | 'webp'): Promise<Buffer> {
  const hue = Math.round((n * 360) / DRAWINGS)
  if (PLAIN.includes(n)) return drawing(`<rect width="100%" height="100%" fill="hsl(${hue} 35% 60%)"/>`, format)
  const at = (part: number) => 0.15 + 0.7 * ((n * part) % 1)
  const circles = [0.618, 0.382, 0.236].map(
    (part, index) =>
      `<circle cx="${at(part) * WIDTH}" cy="${at(part + 0.4) * HEIGHT}" r="${40 + 25 * index}"
        fill="hsl(${hue + 90 * (index + 1)} 80% 60%)" fill-opacity="0.7"/>`,
  )
  const night = DARK.includes(n) ? '<rect width="100%" height="100%" fill-opacity="0.9"/>' : ''
  const sky = `<defs><linearGradient id="sky" x2="1" y2="1">
      <stop stop-color="hsl(${hue} 70% 55%)"/><stop offset="1" stop-color="hsl(${hue + 60} 70% 30%)"/>
    </linearGradient></defs>
    <rect width="100%" height="100%" fill="url(#sky)"/>`
  return drawing(sky + circles.join('') + night, format)
}

function drawing(shapes: string, format: 'jpeg' | 'png' | 'webp'): Promise<Buffer> {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}">${shapes}</svg>`
  return sharp(Buffer.from(svg)).toFormat(format).toBuffer()
}
