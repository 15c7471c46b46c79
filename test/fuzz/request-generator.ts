import { noise } from './frame-generator.ts'
import { pick, whole } from './random.ts'

type Random = () => number

const METHODS = [
  'GET',
  'GET',
  'GET',
  'POST',
  'POST',
  'DELETE',
  'HEAD',
  'PUT',
  'OPTIONS',
  'TRACE',
  'CONNECT',
  'get',
  'X-\u0001',
]
/** Streams and queues that fuzzed requests make and delete: few, and none that the control client has. */
const NAMES = [
  'fuzz',
  'fuzz-2',
  'http',
  '__proto__',
  'constructor',
  '.',
  '..',
  '%2e%2e',
  'a%2Fb',
  '%ff',
  '%00',
  'é',
  '',
]
const TOPICS = [
  'fuzz.a',
  'fuzz.kept.a',
  'fuzz.work.a',
  '%24sys.hub',
  'a..b',
  'fuzz.%F0%9F%92%A5',
  `fuzz.${'x'.repeat(300)}`,
  '',
]
const PATTERNS = ['fuzz.%23', '%23', 'fuzz.kept.%23', 'a..b', '%23.a.'.repeat(14), '%24sys.%23', '']
const PATHS = [
  '/',
  '/healthz',
  '/readyz',
  '/metrics',
  '/token',
  '/fanfare.js',
  '/assets/none.js',
  '/v1',
  '/v1/',
  '/v1/hub',
  '/v1/topics',
  '/v1/connections',
  '/v1/openapi.json',
  '/v1/publish',
  '/v1/streams',
  '/v1/queues',
] as const
/** Request targets that are no path, or that a parser of URLs takes for something else. */
const TARGETS = [
  '//',
  '///',
  '//?x',
  '//a:99999/',
  '/\\\\',
  '*',
  'http://[',
  'http://a/healthz',
  '/%',
  '/%zz',
  '/..%2f..',
  '//[',
  '?',
  '#',
  '/ /',
]
const PARAMS = [
  ['limit', ['0', '1', '1001', '-1', '1e9', 'x', '', '9'.repeat(400)]],
  ['from', ['earliest', 'latest', '0', '-1', 'last:3', 'a:1', '2026-01-31T12:00Z', '1e999', '']],
  ['pattern', PATTERNS],
  ['stream', NAMES],
  ['policy', ['pause', 'conflate', 'never']],
  ['header', ['a=b', 'a', '__proto__=1', `a=${'x'.repeat(5000)}`]],
  ['all', ['kind=a', '__proto__=1', 'constructor=1']],
  ['any', ['kind=a', '=']],
  ['key', ['k', 'x'.repeat(300), '%00']],
  ['priority', ['0', '9', '10', '0.5']],
  ['delay', ['0', '10', '30s', '1e15', '-1', 'soon']],
  ['lastEventId', ['', 'a:1', '-', 'a:1,-', 'x']],
  ['reason', ['rejected', 'boredom']],
  ['_', ['1', '%']],
] as const
const HOSTS = [
  '127.0.0.1',
  'localhost:4747',
  'hub/v1/hub#',
  '[',
  '[::1]',
  'a@b',
  'a b',
  '',
  '%',
  '\u00e9',
  'a:99999',
  '127.0.0.1/../',
]
const TYPES = [
  'application/json',
  'text/json',
  'a/b+json',
  'application/x-www-form-urlencoded',
  'text/plain',
  ';',
  'multipart/form-data; boundary=x',
  '',
]
const HEADERS = [
  [
    'X-Forwarded-For',
    ['203.0.113.7', '203.0.113.7:51', '[2001:db8::1]:443', 'unknown', 'unix:', ',,,', '_hidden', 'a'.repeat(3000)],
  ],
  ['X-Forwarded-Proto', ['https', 'ftp', '']],
  ['Forwarded', ['for=127.0.0.1', 'for="[::1]:1"']],
  ['Origin', ['null', 'http://127.0.0.1', 'https://evil.example', '//', 'http://[']],
  ['Authorization', ['Bearer', 'Bearer x', 'Basic Og==', 'Basic %%%', `Bearer ${'x'.repeat(20_000)}`]],
  ['Last-Event-ID', ['a:1', '', 'x,y,z', '-']],
  ['Idempotency-Key', ['a', '"b"', 'a b', '', 'x'.repeat(300)]],
  ['If-None-Match', ['*', 'W/"x"']],
  ['Accept-Encoding', ['gzip', 'identity', '\u0000']],
  ['Expect', ['100-continue', '200-ok']],
  ['Cookie', ['a=b', ';;;']],
  ['Sec-Fetch-Site', ['cross-site', 'same-origin', 'x']],
  ['Range', ['bytes=0-', 'bytes=9-1']],
  ['X-HTTP-Method-Override', ['DELETE']],
] as const
const VALUES = [
  'null',
  '1',
  '"a"',
  '[]',
  '{}',
  '[[[[]]]]',
  `${'['.repeat(2000)}${']'.repeat(2000)}`,
  '{"__proto__":1}',
  '1e400',
  '"\\ud800"',
]

/**
 * One to four HTTP requests as they go over the wire, pipelined: sound ones, and some (`hostility`, 0 to 1) with lines,
 * headers, lengths and bodies that are torn, contradict each other, or are not HTTP.
 */
export function fuzzRequests(random: Random, hostility: number): Uint8Array {
  const count = random() < 0.85 ? 1 : 1 + whole(random, 4)
  const requests = Array.from({ length: count }, () => request(random, random() < hostility))
  return Buffer.from(requests.join(''), 'latin1')
}

function request(random: Random, hostile: boolean): string {
  const body = random() < 0.5 ? bodyOf(random) : ''
  const method =
    hostile && random() < 0.2 ? pick(random, METHODS) : body === '' ? pick(random, ['GET', 'DELETE']) : 'POST'
  const line = `${method} ${hostile && random() < 0.3 ? pick(random, TARGETS) : targetOf(random)} ${versionOf(random, hostile)}\r\n`
  const host = hostile && random() < 0.3 ? pick(random, HOSTS) : '127.0.0.1'
  const headers = [
    ...(hostile && random() < 0.1 ? [] : [`Host: ${host}`]),
    ...(random() < 0.1 ? upgradeHeaders(random) : []),
    ...(body === '' ? [] : [`Content-Type: ${random() < 0.6 ? 'application/json' : pick(random, TYPES)}`]),
    ...Array.from({ length: whole(random, 4) }, () => {
      const [name, values] = pick(random, HEADERS)
      return `${name}: ${pick(random, values)}`
    }),
    ...(hostile && random() < 0.05 ? Array.from({ length: 150 }, (_, n) => `X-${n}: 1`) : []),
    ...(random() < 0.5 ? ['Connection: close'] : []),
  ]
  const [framing, framed] = framedBody(random, body, hostile)
  const text = `${line}${[...headers, ...framing].join('\r\n')}\r\n\r\n${framed}`
  return hostile && random() < 0.4 ? damaged(random, text) : text
}

function targetOf(random: Random): string {
  const name = pick(random, NAMES)
  const kind = random()
  const path =
    kind < 0.35
      ? pick(random, PATHS)
      : kind < 0.5
        ? '/v1/events'
        : kind < 0.65
          ? `/v1/topics/${pick(random, TOPICS)}`
          : kind < 0.8
            ? `/v1/queues/${name}${pick(random, ['', '/messages', '/purge', '/unpark', '/dead-letters', '/dead-letters/redrive', '/dead-letters/purge', '/wanted-consumers'])}`
            : kind < 0.95
              ? `/v1/streams/${name}${pick(random, ['', '/messages', '/trim'])}`
              : `/v1/connections/${name}`
  const params = Array.from({ length: whole(random, 4) }, () => {
    const [param, values] = pick(random, PARAMS)
    return `${param}=${pick(random, values)}`
  })
  return params.length === 0 ? path : `${path}?${params.join('&')}`
}

function versionOf(random: Random, hostile: boolean): string {
  if (!hostile || random() < 0.7) return random() < 0.95 ? 'HTTP/1.1' : 'HTTP/1.0'
  return pick(random, ['HTTP/1.0', 'HTTP/0.9', 'HTTP/2.0', 'HTTP/1.', 'http/1.1', ''])
}

function upgradeHeaders(random: Random): string[] {
  return [
    'Connection: Upgrade',
    `Upgrade: ${pick(random, ['websocket', 'websocket', 'WebSocket', 'h2c', ''])}`,
    `Sec-WebSocket-Version: ${pick(random, ['13', '13', '8', 'x'])}`,
    `Sec-WebSocket-Key: ${pick(random, ['dGhlIHNhbXBsZSBub25jZQ==', 'short', ''])}`,
    `Sec-WebSocket-Protocol: ${pick(random, ['fanfare.v1', 'mqtt', ',,', 'fanfare.v1, bearer.x'])}`,
  ]
}

function bodyOf(random: Random): string {
  const kind = random()
  if (kind < 0.1) return Buffer.from(noise(random, 300)).toString('latin1')
  if (kind < 0.4) return pick(random, VALUES)
  const field = (name: string, values: readonly string[]) =>
    random() < 0.5 ? [`"${name}":${pick(random, values)}`] : []
  const names = NAMES.map((name) => JSON.stringify(decoded(name)))
  const fields = [
    ...field('name', names),
    ...field('topic', ['"fuzz.a"', '"a..b"', '5', '"$queue.fuzz"']),
    ...field('topics', ['["fuzz.kept.#"]', '[]', '"a"', `["${'#.a.'.repeat(10)}b"]`]),
    ...field('bindings', ['[{"topic":"fuzz.work.#"}]', '[{"topic":"fuzz.#","match":{"all":{"kind":"a"}}}]', '[5]']),
    ...field('data', VALUES),
    ...field('headers', ['{"kind":"a"}', '{"__proto__":"a"}', '[]']),
    ...field('maxMessages', ['1', '0', '-1', '1e99', '"1"']),
    ...field('overflow', ['"reject"', '"drop-oldest"', '"dead-letter"', '"no"']),
    ...field('filter', ['{}', '{"topic":"#"}', '{"letters":[0,1]}', '5']),
    ...field('to', ['"fuzz"', `"${'x'.repeat(3000)}"`]),
    ...field('id', ['"a"', '"a b"', '""']),
  ]
  // A stream keeps all that it captures, and this hub keeps it in memory: a limit for those that are declared by chance.
  if (fields.some((each) => each.startsWith('"topics"'))) fields.push('"maxMessages":100')
  const object = `{${fields.join(',')}}`
  return random() < 0.1 ? `[${Array.from({ length: 1 + whole(random, 20) }, () => object).join(',')}]` : object
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}

/** Its headers and bytes: with its length, in chunks, or with either of them wrong. */
function framedBody(random: Random, body: string, hostile: boolean): [string[], string] {
  if (body === '' && random() < 0.9) return [[], '']
  const length = `Content-Length: ${body.length}`
  const kind = random()
  if (hostile && kind < 0.15)
    return [[`Content-Length: ${pick(random, ['-1', 'x', '99999999999999999999', '1e3', '+5'])}`], body]
  if (hostile && kind < 0.25) return [[length, 'Transfer-Encoding: chunked'], body]
  if (hostile && kind < 0.35) return [[length, `Content-Length: ${body.length + 1}`], body]
  if (hostile && kind < 0.45) return [['Transfer-Encoding: chunked'], `ffffffff\r\n${body}`]
  if (kind > 0.8) return [['Transfer-Encoding: chunked'], `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`]
  return [[length], body]
}

/** Cut off, with a byte that is another, or with a line that no header has. */
function damaged(random: Random, text: string): string {
  const at = whole(random, text.length)
  const kind = random()
  if (kind < 0.4) return text.slice(0, at)
  if (kind < 0.8) return `${text.slice(0, at)}${String.fromCharCode(whole(random, 256))}${text.slice(at + 1)}`
  return text.replace(
    '\r\n',
    `\r\n${pick(random, ['Name : value', ' folded', '\u0000: a', ': empty', 'noColon', 'A:\u0000'])}\r\n`,
  )
}
