import { crc32, deflateSync } from 'node:zlib'
import sharp from 'sharp'

/** A picture of this size with something to see: two halves. */
export function picture(
  format: 'jpeg' | 'png' | 'webp',
  width = 1600,
  height = 1200,
  orientation = 1,
): Promise<Buffer> {
  const half = { create: { width: width / 2, height, channels: 3, background: '#e0a030' } } as const
  return sharp({ create: { width, height, channels: 3, background: '#205080' } })
    .composite([{ input: half, left: 0, top: 0 }])
    .withMetadata({ orientation })
    .toFormat(format)
    .toBuffer()
}

/** A PNG of few bytes that is huge in memory: black and white, and nothing but black. */
export function decompressionBomb(side = 30_000): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(side, 0)
  header.writeUInt32BE(side, 4)
  header[8] = 1
  const pixels = deflateSync(Buffer.alloc((Math.ceil(side / 8) + 1) * side), { level: 9 })
  const signature = Buffer.from('89504e470d0a1a0a', 'hex')
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', pixels), chunk('IEND', Buffer.alloc(0))])
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type), data])
  const length = Buffer.alloc(4)
  length.writeUInt32BE(data.length)
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(body))
  return Buffer.concat([length, body, sum])
}
