import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compose } from '../../server/broker/compose.ts'
import { BatchBuilder, PART_BYTES } from '../../server/engine/batch.ts'
import { Encoded } from '../../server/topic/encoded.ts'
import { encodeRest, Message } from '../../server/topic/message.ts'
import { decodeBinary, decodeText, encodeFrame, encodeRecord, joinText } from '../../shared/codec.ts'
import { FanfareError } from '../../shared/errors.ts'
import { type Frame, type HubFrame, POLICIES, type PublishFrame } from '../../shared/frames.ts'
import { parseFrame } from '../../shared/parse-frame.ts'

const RUNS = 1000

const number = fc.maxSafeNat()
const text = fc.string({ unit: 'binary' })
const id = fc.stringMatching(/^[\w.:~-]{1,64}$/)
const topic = fc.stringMatching(/^[\w:@/+=~-]{1,20}(\.[\w:@/+=~-]{1,20}){0,3}$/)
const key = fc.string({ unit: 'binary', maxLength: 100 })
const headers = fc.dictionary(name(), text, { maxKeys: 8, noNullPrototype: true })
// What JSON can say, as JSON reads it: -0 becomes 0.
// Keys that poison objects are refused, which has a test of its own.
const json = fc
  .jsonValue()
  .filter((value) => !JSON.stringify(value).includes('proto'))
  .map((value) => JSON.parse(JSON.stringify(value)) as unknown)
const bytes = fc.uint8Array({ maxLength: 200 })
const optional = <T>(shape: { [K in keyof T]: fc.Arbitrary<T[K]> }, required: (keyof T)[]) =>
  fc.record(shape, { requiredKeys: required, noNullPrototype: true })

const publish = optional(
  { type: fc.constant('publish' as const), seq: number, topic, data: fc.oneof(json, bytes), id, key, headers },
  ['type', 'seq', 'topic'],
) as fc.Arbitrary<PublishFrame>

const frame: fc.Arbitrary<Frame> = fc.oneof(
  publish,
  optional({ type: fc.constant('message'), id, topic, data: fc.oneof(json, bytes), key, headers }, [
    'type',
    'id',
    'topic',
  ]),
  optional(
    {
      type: fc.constant('subscribe'),
      sub: number,
      pattern: text,
      policy: fc.constantFrom(...POLICIES),
      filter: fc.oneof(fc.record({ all: headers }), fc.record({ any: headers })),
    },
    ['type', 'sub', 'pattern'],
  ),
  fc.record({ type: fc.constantFrom('unsubscribe', 'pause', 'resume', 'subscribed'), sub: number }),
  fc.record({ type: fc.constant('gap'), sub: number, count: number, from: id, to: id, reason: text }),
  fc.record({ type: fc.constant('receipt'), seq: number, id }),
  fc.record({ type: fc.constantFrom('ping', 'pong') }),
) as fc.Arbitrary<Frame>

/** Keys that are not refused; any text else. */
function name(): fc.Arbitrary<string> {
  return fc.string({ unit: 'binary', maxLength: 20 }).filter((name) => name !== '__proto__')
}

describe('the codec', () => {
  it('decodes every frame that it encoded, by itself or in a batch', () => {
    fc.assert(
      fc.property(fc.array(frame, { minLength: 1, maxLength: 10 }), (frames) => {
        const encoded = frames.map(encodeFrame)
        const texts = encoded.filter((one) => typeof one === 'string')
        const records = encoded.filter((one) => typeof one !== 'string')
        const decoded = [
          ...(texts.length > 0 ? decodeText(joinText(texts)) : []),
          ...(records.length > 0 ? decodeBinary(Buffer.concat(records)).map(withPlainBytes) : []),
        ]
        const inText = (frame: Frame) => !('data' in frame && frame.data instanceof Uint8Array)
        expect(decoded.map(parseFrame)).toEqual([...frames.filter(inText), ...frames.filter((one) => !inText(one))])
      }),
      { numRuns: RUNS },
    )
  })

  it('keeps order and scope when frames are joined to WebSocket messages of bounded size', () => {
    const large = fc.record({
      type: fc.constant('message' as const),
      id,
      topic,
      data: fc.nat(4000).map((n) => 'x'.repeat(n)),
    })
    const scoped = fc.record({ frame: fc.oneof(frame, large), only: fc.constantFrom(undefined, 1, 2) })
    fc.assert(
      fc.property(fc.array(scoped, { minLength: 1, maxLength: 60, size: 'max' }), (frames) => {
        const builder = new BatchBuilder()
        for (const { frame, only } of frames) {
          builder.scope(only)
          builder.add(encoded(frame))
        }
        const { parts } = builder.build()
        expect(Math.max(...parts.map(({ payload }) => payload.length))).toBeLessThanOrEqual(PART_BYTES + 1)
        const read = parts.flatMap(({ payload, binary }) => {
          const values = binary
            ? decodeBinary(payload).map(withPlainBytes)
            : decodeText(Buffer.from(payload).toString())
          const [first] = values as HubFrame[]
          const only = first?.type === 'only' ? first.sub : undefined
          return values.slice(only === undefined ? 0 : 1).map((frame) => ({ frame, only }))
        })
        expect(read).toEqual(frames)
      }),
      { numRuns: RUNS / 4 },
    )
  })

  it('says of a message what JSON would say', () => {
    fc.assert(
      fc.property(publish, id, (frame, id) => {
        const payload = frame.data instanceof Uint8Array ? frame.data : undefined
        const composed = compose({ id, topic: frame.topic, rest: encodeRest(frame), payload }, undefined)
        const { wire } = new Message(frame, id, frame.topic.split('.'), 1, new Encoded(composed))
        const { type: _, seq: __, data, ...rest } = frame
        const message = JSON.parse(JSON.stringify({ ...rest, type: 'message', id, data })) as object
        if (data instanceof Uint8Array) {
          expect(decodeBinary(wire.record as Uint8Array).map(withPlainBytes)).toEqual([{ ...message, data }])
        } else {
          expect(decodeText(wire.text as string)).toEqual([message])
          expect(wire.bytes).toBe(Buffer.byteLength(wire.text as string))
        }
      }),
      { numRuns: RUNS },
    )
  })
})

describe('bad input', () => {
  const types = fc.constantFrom('hello', 'subscribe', 'publish', 'welcome', 'message', 'gap', 'error', 'constructor')
  const almost = fc
    .tuple(
      types,
      fc.dictionary(fc.constantFrom('sub', 'seq', 'topic', 'id', 'headers', 'filter', 'limits'), fc.anything()),
    )
    .map(([type, fields]) => ({ ...fields, type }))

  it('is refused by the parser with an error of the table', () => {
    fc.assert(
      fc.property(fc.oneof(fc.anything(), almost), (value) => onlyRefuses(() => parseFrame(value))),
      { numRuns: RUNS },
    )
  })

  it('is refused by the decoders with an error of the table', () => {
    const record = fc.tuple(text, bytes).map(([header, payload]) => encodeRecord(header, payload))
    const cut = fc.tuple(record, fc.nat(100)).map(([record, end]) => record.subarray(0, end))
    fc.assert(
      fc.property(fc.oneof(bytes, record, cut), fc.oneof(text, fc.json()), (bytes, text) => {
        onlyRefuses(() => decodeBinary(bytes))
        onlyRefuses(() => decodeText(text))
      }),
      { numRuns: RUNS },
    )
  })

  it('is refused for its keys, however JSON spells them', () => {
    const spelled = (key: string) =>
      fc.nat(key.length - 1).map((at) => `${key.slice(0, at)}${escaped(key.charCodeAt(at))}${key.slice(at + 1)}`)
    const poison = fc.oneof(
      spelled('__proto__').map((key) => `{"${key}":{}}`),
      fc.tuple(spelled('constructor'), spelled('prototype')).map(([outer, inner]) => `{"${outer}":{"${inner}":1}}`),
    )
    fc.assert(
      fc.property(poison, fc.nat(5), (poison, depth) => {
        const text = `${'{"data":['.repeat(depth)}${poison}${']}'.repeat(depth)}`
        expect(() => decodeText(text).map(parseFrame)).toThrow(expect.objectContaining({ code: 'forbidden_key' }))
      }),
      { numRuns: RUNS },
    )
  })
})

function escaped(letter: number): string {
  return `\\u${letter.toString(16).padStart(4, '0')}`
}

function encoded(frame: Frame): Encoded {
  if (!('data' in frame && frame.data instanceof Uint8Array)) return new Encoded(JSON.stringify(frame))
  return new Encoded(JSON.stringify({ ...frame, data: undefined }), frame.data)
}

/** Payloads come as views of whatever was given. */
function withPlainBytes(value: unknown): unknown {
  const frame = value as { data: Uint8Array }
  return { ...frame, data: new Uint8Array(frame.data) }
}

/** Runs something that may do well, or throw a FanfareError. */
function onlyRefuses(run: () => void): void {
  try {
    run()
  } catch (error) {
    expect(error).toBeInstanceOf(FanfareError)
  }
}
