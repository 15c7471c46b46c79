import { Socket } from 'node:net'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { BatchBuilder } from '../../server/engine/batch.ts'
import { Encoded } from '../../server/topic/encoded.ts'
import { answerChecks } from '../load/check-answers.ts'

/** What the load answers to this stream if it arrives in chunks of this many bytes. */
function answers(stream: Buffer, chunkBytes: number): number[] {
  const socket = new Socket()
  const written: number[] = []
  socket.write = (frame: Uint8Array | string) => written.push(Number(/"n":(\d+)/.exec(frame.toString())?.[1])) > 0
  answerChecks(socket)
  for (let at = 0; at < stream.length; at += chunkBytes) socket.emit('data', stream.subarray(at, at + chunkBytes))
  return written
}

it('the load answers the last check of each chunk, wherever chunks begin', () =>
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(20, 100, 121, 122, 123, 200, 70_000), { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 1, max: 3000 }),
      (sizes, chunkBytes) => {
        const batches = sizes.flatMap((size, n) =>
          [`"${'x'.repeat(size)}"`, `{"type":"check","n":${n + 1}}`].map((text) => {
            const builder = new BatchBuilder()
            builder.add(new Encoded(text))
            return builder.build().framed
          }),
        )
        const stream = Buffer.concat(batches)
        const written = answers(stream, chunkBytes)
        expect(written.at(-1)).toBe(sizes.length)
        expect(written).toEqual([...new Set(written)].sort((a, b) => a - b))
        // Each of them, if no two fit into a chunk.
        if (chunkBytes <= 20) expect(written).toEqual(sizes.map((_, n) => n + 1))
        expect(answers(stream, stream.length)).toEqual([sizes.length])
      },
    ),
    { numRuns: 100 },
  ))
