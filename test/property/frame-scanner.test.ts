import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeText } from '../../shared/codec.ts'
import { FanfareError } from '../../shared/errors.ts'
import { ForbiddenFrame } from '../../shared/forbidden-keys.ts'
import { withoutForbiddenText } from '../../shared/forbidden-text.ts'
import { scanFrames, scanJson } from '../../shared/frame-scanner.ts'
import { parseFrame } from '../../shared/parse-frame.ts'
import { RawJson } from '../../shared/raw-json.ts'
import type { Fields } from '../../shared/rules.ts'

const RUNS = 1000

// Spelled in ways that JSON.stringify does not know.

const space = fc.oneof(
  { weight: 6, arbitrary: fc.constant('') },
  fc.string({ unit: fc.constantFrom(' ', '\t', '\n', '\r'), maxLength: 3 }),
)
const number = fc.oneof(
  fc.constantFrom('0', '-0', '-0.0', '1e400', '-1E+2', '9007199254740993', '0.1e-7', '123456789012345678901234567890'),
  fc.integer().map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((each) => JSON.stringify(each)),
)
const character = fc.oneof(
  fc.constantFrom(
    '\\u00e9',
    '\\/',
    '/',
    '\\"',
    '\\\\',
    '\\n',
    '\\ud83d',
    '\\uD83D\\uDE00',
    '\u2028',
    '\ud800',
    '\ufeff',
  ),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }).map((each) => JSON.stringify(each).slice(1, -1)),
)
const string = fc
  .oneof(
    { weight: 9, arbitrary: fc.array(character, { maxLength: 8 }) },
    fc.array(character, { minLength: 60, maxLength: 90 }),
  )
  .map((all) => `"${all.join('')}"`)
const name = fc.oneof(
  fc.constantFrom('"data"', '"type"', '"seq"', '"id"', '"topic"', '"publish"', '"message"', '"result"', '"d\\u0061ta"'),
  fc.constantFrom('"__proto__"', '"\\u005f_proto__"', '"constructor"', '"prototype"', '""', '"1"'),
  string,
)
const scalar = fc.oneof(number, string, fc.constantFrom('true', 'false', 'null', '"publish"'))

const { json } = fc.letrec<{ json: string; list: string; object: string }>((tie) => ({
  json: fc.oneof({ depthSize: 'small', withCrossShrink: true }, scalar, tie('list'), tie('object')),
  list: fc.array(spaced(tie('json')), { maxLength: 4 }).chain((all) => space.map((end) => `[${all.join(',') || end}]`)),
  object: fc
    .array(fc.tuple(spaced(name), spaced(tie('json'))), { maxLength: 5 })
    .chain((all) => space.map((end) => `{${all.map((pair) => pair.join(':')).join(',') || end}}`)),
}))

function spaced(text: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.tuple(space, text, space).map((all) => all.join(''))
}

/** A text with a few characters replaced, left out or put in. */
const mutated = fc
  .tuple(
    json,
    fc.array(fc.tuple(fc.nat(400), fc.nat(2), fc.constantFrom(...' \t\0\x1f"\\{}[]:,.-+eEtfn019/u\ufeff\u00a0é')), {
      maxLength: 3,
    }),
  )
  .map(([text, changes]) =>
    changes.reduce((all, [at, cut, put]) => {
      const from = at % (all.length + 1)
      return all.slice(0, from) + (cut === 2 ? '' : put) + all.slice(from + cut)
    }, text),
  )

describe('the scanner of frames', () => {
  it('reads and refuses what a parser of JSON does', () => {
    const text = fc.oneof(spaced(json), spaced(mutated), fc.string({ unit: 'binary' }), fc.json())
    fc.assert(
      fc.property(text, (text) => {
        expect(outcome(() => scanFrames(text).map(withoutRaw))).toEqual(outcome(() => decoded(text)))
        expect(outcome(() => scanJson(text).parse())).toEqual(outcome(() => JSON.parse(text)))
      }),
      { numRuns: RUNS },
    )
  })

  it('refuses the same frames with the same codes', () => {
    const deep = fc
      .integer({ min: 98, max: 103 })
      .map(
        (levels) =>
          `${'[{"a":'.repeat(levels >> 1)}${'['.repeat(levels % 2)}1${']'.repeat(levels % 2)}${'}]'.repeat(levels >> 1)}`,
      )
    const data = fc.oneof({ weight: 4, arbitrary: json }, deep)
    const publish = fc
      .tuple(fc.constantFrom('"t"', '"photos.uploaded"', '1'), data)
      .map(([topic, data]) => `"topic":${topic},"data":${data}`)
    const optional = fc.constantFrom(
      '',
      ',"id":"a.1"',
      ',"id":"ä"',
      ',"key":null',
      ',"priority":9',
      ',"priority":1e1',
      ',"headers":{"a":"b"}',
      ',"seq":"x"',
      ',"data":1',
      ',"expiresAt":null',
    )
    const frame = fc.oneof(
      fc.tuple(publish, optional).map(([fields, more]) => `{"type":"publish","seq":1,${fields}${more}}`),
      fc.tuple(publish, optional).map(([fields, more]) => `{"type":"ask","seq":1,"timeoutMs":5,${fields}${more}}`),
      fc
        .tuple(publish, optional)
        .map(([fields, more]) => `{"type":"ack","consumer":1,"delivery":2,"publish":[{${fields}${more}}]}`),
      json,
    )
    fc.assert(
      fc.property(fc.array(spaced(frame), { minLength: 1, maxLength: 4 }), (frames) => {
        const text = `[${frames.join(',')}]`
        expect(scanned(text)).toEqual(decoded(text).map((value) => outcome(() => parseFrame(value))))
      }),
      { numRuns: RUNS },
    )
  })

  it('reads a single publish the same way as one in a list', () => {
    const whole = fc.oneof(fc.nat().map(String), fc.constantFrom('007', '-1', '1.5', '1e3', '9007199254740993', '""'))
    const topic = fc.oneof(fc.constantFrom('"t"', '"photos.uploaded"', '""', `"${'t'.repeat(256)}"`), string)
    const text = fc
      .tuple(
        whole,
        topic,
        fc.oneof(json, mutated, string),
        fc.constantFrom('}', '}', '}', '} ', ',"id":"a"}', '}}', ''),
      )
      .map(([seq, topic, data, end]) => `{"type":"publish","seq":${seq},"topic":${topic},"data":${data}${end}`)
    fc.assert(
      fc.property(text, fc.boolean(), (text, repeated) => {
        if (repeated) outcome(() => scanFrames(text))
        const alone = outcome(() => scanned(text))
        expect(alone).toEqual(outcome(() => scanned(`[${text}]`)))
        expect(alone).toEqual(outcome(() => decoded(text).map((value) => outcome(() => parseFrame(value)))))
      }),
      { numRuns: RUNS },
    )
  })

  it('leaves data as it is', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(space, json, space), { minLength: 1, maxLength: 5 }), (all) => {
        const frames = all.map(
          ([before, data, after]) => `{"id":"an.id.of.many.letters","data":${before}${data}${after}}`,
        )
        const [ack] = scanFrames(`{"type":"ack","publish":[${frames.join(',')}],"x":1}`)
        const values = [...scanFrames(`[${frames.join(',')}]`), ...publishesOf(ack)]
        const texts = all.map(([, data]) => data)
        const read = values.map((value) =>
          value instanceof ForbiddenFrame ? undefined : ((value as Fields)['data'] as RawJson).text,
        )
        expect(read.filter((each) => each !== undefined)).toEqual(
          [...texts, ...texts].filter((_, n) => read[n] !== undefined),
        )
      }),
      { numRuns: RUNS },
    )
  })

  it('takes any depth', () => {
    for (const depth of [1, 99, 100, 101, 2000, 200_000]) {
      const data = `${'['.repeat(depth)}${']'.repeat(depth)}`
      const [frame] = scanFrames(`{"type":"publish","seq":1,"topic":"t","data":${data}}`)
      expect((frame as { data: RawJson }).data).toMatchObject({ text: data, isDeep: depth > 100 })
      expect(outcome(() => parseFrame(frame) && 'fine')).toMatch(depth > 100 ? /^nested_too_deeply/ : /^fine/)
      expect(() => scanFrames(`{"data":${data.slice(1)}}`)).toThrow(FanfareError)
      const publishes = `${'{"publish":['.repeat(depth)}${']}'.repeat(depth)}`
      expect(scanFrames(publishes)).toHaveLength(1)
    }
  })
})

/** What the hub accepts, whose data goes on as text: a later field of the same name hides nothing. */
function decoded(text: string): unknown[] {
  return withoutForbiddenText(text, decodeText(text))
}

function publishesOf(ack: unknown): unknown[] {
  return ack instanceof ForbiddenFrame ? [] : ((ack as Fields)['publish'] as unknown[])
}

function scanned(text: string): unknown[] {
  return scanFrames(text).map((value) => {
    // Before it is taken apart: `parseFrame` completes what an ack publishes.
    const result = outcome(() => parseFrame(value))
    return typeof result === 'string' ? result : withoutRaw(result)
  })
}

function outcome(run: () => unknown): unknown {
  try {
    return run()
  } catch (error) {
    return error instanceof FanfareError && error.code !== 'not_json' ? `${error.code}: ${error.message}` : 'not_json'
  }
}

/** With values for the data that is text. */
function withoutRaw(value: unknown): unknown {
  if (value instanceof RawJson) return value.parse()
  if (Array.isArray(value)) return value.map(withoutRaw)
  if (typeof value !== 'object' || value === null || value instanceof ForbiddenFrame) return value
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, withoutRaw(each)]))
}
