import { open } from 'node:fs/promises'
import sharp from 'sharp'
import type { Photo, Refusal } from './contract.ts'

export const MAX_UPLOAD_BYTES = 20 * 1024 * 1024
/** Maximum per request. */
export const MAX_FILES = 20
/** A picture's size in memory depends on its pixels, however few bytes its file has. */
export const MAX_PIXELS = 50_000_000
/** Maximum length of a photo's name, in characters. */
const NAME_LENGTH = 100

/** Why a file is refused, in plain words for the uploader. */
export class Refused extends Error {
  readonly code: Refusal

  constructor(code: Refusal, message: string) {
    super(message)
    this.code = code
  }
}

/** The type of a picture by its content: its first bytes, then its header. Throws `Refused`. */
export async function checkPicture(path: string): Promise<Photo['type']> {
  const type = typeOf(await firstBytes(path))
  if (!type) throw new Refused('not_a_picture', 'This is not a JPEG, PNG or WebP picture, even if its name says so.')
  // Only the header is read here, so no limit is needed; whatever decodes the picture applies MAX_PIXELS.
  const header = await sharp(path, { limitInputPixels: false })
    .metadata()
    .catch((error: Error) => {
      throw new Refused('unreadable', `The picture is damaged: ${error.message}`)
    })
  if (`image/${header.format}` !== type)
    throw new Refused('unreadable', 'The picture is damaged: its content is of two types.')
  const { width, height } = header
  if (width * height > MAX_PIXELS) {
    const most = `the maximum is ${MAX_PIXELS / 1e6} million pixels`
    throw new Refused('too_many_pixels', `The picture is ${width} × ${height} pixels; ${most}.`)
  }
  return type
}

/** A name to display, never to use as a path: no folders, no invisible characters, limited length. */
export function displayName(given: string): string {
  const name = given.split(/[\\/]/).at(-1) as string
  const visible = name
    .normalize()
    .replace(/\p{C}/gu, '')
    .replace(/^[.\s]+/, '')
    .trim()
  return [...visible].slice(0, NAME_LENGTH).join('') || 'photo'
}

function typeOf(bytes: Buffer): Photo['type'] | undefined {
  if (bytes.subarray(0, 3).toString('hex') === 'ffd8ff') return 'image/jpeg'
  if (bytes.subarray(0, 8).toString('hex') === '89504e470d0a1a0a') return 'image/png'
  const riff = bytes.toString('latin1')
  if (riff.startsWith('RIFF') && riff.slice(8, 12) === 'WEBP') return 'image/webp'
  return undefined
}

async function firstBytes(path: string): Promise<Buffer> {
  const file = await open(path)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(12), 0, 12)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}
