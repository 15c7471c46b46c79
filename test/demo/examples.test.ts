import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { launchBrowser } from '../setup/browser.ts'
import { esbuild } from '../setup/esbuild.ts'
import { OwnProcess } from '../setup/own-process.ts'

const FOLDER = new URL('../../demo/examples/', import.meta.url)
const OUTPUT = fileURLToPath(new URL('../output/', import.meta.url))
const MAX_LINES = 60
/** What each example prints; a pattern where it depends on the machine. */
const PRINTED: Readonly<Record<string, string | RegExp>> = {
  'autoscaled-workers.ts': /^120 jobs done by [1-4] workers\n$/,
  'express.ts': 'Express answers 202\norders.placed { total: 12 }\nthe hub answers 200\n',
  'job-queue.ts':
    /^sent to ann at attempt 1\nsent to bob at attempt 3\ngave up on eve after 3 attempts: Error: The mail server is busy\n$/,
  'jwt.ts': 'users.ann.note mine\nusers.bob.note forbidden\n',
  'late-joiner.ts':
    'the late joiner sees 1:0\nthe late joiner sees 1:1\nthe late joiner sees 2:1\nthe next one sees 2:1\nthe next one sees 2:2\n',
  'request-reply.ts': 'apple: 0.5\nshop.price of lemon: responder_failed\nshop.weight of apple: no_responder\n',
  'server-sent-events.ts': 'The match has begun\nHalf-time\nIt is over\n',
}
/** Those that have a test of their own. */
const SERVERS = ['chat.html', 'chat.ts']

/** The examples as tsx translates them. Inside the package, so that they find it by its name. */
let stripped: string
beforeAll(async () => {
  mkdirSync(OUTPUT, { recursive: true })
  stripped = mkdtempSync(join(OUTPUT, 'examples-'))
  const entryPoints = Object.keys(PRINTED).map((file) => fileURLToPath(new URL(file, FOLDER)))
  await esbuild.build({ entryPoints, outdir: stripped, format: 'esm', target: 'es2022' })
})
afterAll(() => rmSync(stripped, { recursive: true }))

it('each example is short, says how to run it, and is run here', () => {
  const files = readdirSync(FOLDER)
  expect(files.toSorted()).toEqual([...SERVERS, ...Object.keys(PRINTED)].toSorted())
  const texts = files.map((file) => ({ file, text: readFileSync(new URL(file, FOLDER), 'utf8') }))
  const long = texts.filter(({ text }) => text.split('\n').length > MAX_LINES)
  const silent = texts.filter(({ file, text }) => file.endsWith('.ts') && !text.includes(`npx tsx ${file}`))
  expect([...long, ...silent].map(({ file }) => file)).toEqual([])
})

it.each(Object.keys(PRINTED))('%s prints what it says', { timeout: 90_000 }, async (file) => {
  const example = new OwnProcess(process.execPath, [join(stripped, file.replace('.ts', '.js'))], { PORT: '0' })
  expect(await example.exit, example.stderr).toBe(0)
  const printed = PRINTED[file] as string | RegExp
  if (typeof printed === 'string') expect(example.stdout).toBe(printed)
  else expect(example.stdout).toMatch(printed)
})

it('the chat shows each page the messages of the other, and a late page all of them', { timeout: 90_000 }, async () => {
  const server = runWithTsx('chat.ts', { HUB_PORT: '0', PORT: '0' })
  const browser = await launchBrowser()
  try {
    const [, address = ''] = await server.said('stdout', /^(http:.*)\n/)
    const ann = await browser.newPage()
    await ann.goto(address)
    await ann.fill('input', 'Hello')
    await ann.press('input', 'Enter')
    await ann.getByText('Hello').waitFor()
    const bob = await browser.newPage()
    await bob.goto(address)
    await bob.getByText('Hello').waitFor()
    await bob.fill('input', 'Hi Ann')
    await bob.press('input', 'Enter')
    await ann.getByText('Hi Ann').waitFor()
  } finally {
    await browser.close()
    server.signal('SIGKILL')
    await server.exit
  }
})

/** Starts an example as its first line says: `npx tsx`, whose start takes more CPU time than all examples do. */
function runWithTsx(file: string, env: Readonly<Record<string, string>>): OwnProcess {
  return new OwnProcess(process.execPath, ['--import', 'tsx', `demo/examples/${file}`], env)
}
