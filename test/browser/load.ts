import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { type Client, connect } from '../../client/node.ts'
import type { HubInfo } from '../../shared/sys.ts'
import { cpuSeconds } from '../load/process-stats.ts'
import { clientFrame, openRaw, seen } from '../load/raw-websocket.ts'
import { fanfare } from '../load/targets.ts'
import { launchBrowser } from '../setup/browser.ts'

/**
 * `npm run load:dashboard`: whether the page stays smooth alongside a busy hub, what an open page costs the hub, and whether rows stay in place
 * under the pointer. The hub, its load (this process) and Chromium are three processes; build first. It fails if a task of the page took longer
 * than a tenth of a second, or a row has moved.
 */

const TOPICS = 1000
const QUEUES = 200
const CONNECTIONS = 5000
const PER_SECOND = 50_000
const LONGEST_MS = 100
/** Time in each section. */
const LOOK_MS = 8000
/** Pairs of times in which the hub's CPU is measured, with and without the page. */
const CPU_PAIRS = 4
const CPU_MS = 6000
/** Queues while the rows are watched, and for how long. */
const MANY_QUEUES = 1000
const STILL_MS = 10_000

const PUBLISHERS = 20
const BATCH = 100
const SECTIONS = ['#/', '#/connections', '#/topics', '#/streams', '#/queues', '#/queues/queue-7', '#/tail?pattern=%23']

const folder = mkdtempSync(join(tmpdir(), 'fanfare-load-'))
const config = join(folder, 'hub.json')
const queues = Array.from({ length: QUEUES }, (_, n) => ({ name: `queue-${n}`, bindings: [] }))
writeFileSync(config, JSON.stringify({ queues }))
const server = await fanfare('ws', ['--config', config]).start()
const sockets: Socket[] = []
try {
  await openIdle(server.port)
  const timers = [await publishAll(server.port), await enqueueAll(server.port)]
  process.stdout.write(`${TOPICS} topics, ${QUEUES} queues, ${CONNECTIONS} connections\n`)
  const browser = await launchBrowser()
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } })
  const longest = await look(page, server.port)
  await weigh(page, server.port, server.pid as number)
  const moved = await watchRows(page, server.port)
  await browser.close()
  for (const timer of timers) clearInterval(timer)
  if (longest > LONGEST_MS) {
    process.stdout.write(`A task of ${longest.toFixed(0)} ms is longer than ${LONGEST_MS} ms\n`)
    process.exitCode = 1
  }
  if (moved) process.exitCode = 1
} finally {
  for (const socket of sockets) socket.destroy()
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
}
process.exit()

async function open(port: number, name: string): Promise<Socket> {
  const socket = await openRaw({ port }, '/', 'fanfare.v1')
  sockets.push(socket)
  const heard = seen(socket, '"welcome"')
  socket.write(clientFrame(`{"type":"hello","client":"${name}"}`))
  await heard
  socket.resume()
  return socket
}

async function openIdle(port: number): Promise<void> {
  for (let n = 0; n < CONNECTIONS; n += 100) {
    await Promise.all(Array.from({ length: 100 }, (_, i) => open(port, `idle-${n + i}`)))
  }
}

/** Each publisher sends a batch when the one before is acknowledged and its time has come. */
async function publishAll(port: number): Promise<NodeJS.Timeout> {
  let sent = 0
  const publishers = await Promise.all(
    Array.from({ length: PUBLISHERS }, async (_, n) => {
      const socket = await open(port, `publisher-${n}`)
      const publisher = { socket, waiting: 0 }
      socket.on('data', (chunk) => {
        const text = chunk.toString('latin1')
        for (let at = text.indexOf('"receipt"'); at >= 0; at = text.indexOf('"receipt"', at + 1)) publisher.waiting--
      })
      return publisher
    }),
  )
  let due = 0
  let before = performance.now()
  return setInterval(() => {
    const now = performance.now()
    due = Math.min(due + ((now - before) / 1000) * PER_SECOND, PER_SECOND / 4)
    before = now
    for (const publisher of publishers) {
      if (due < BATCH) return
      // A receipt that two reads share is not counted: what is left is few.
      if (publisher.waiting > BATCH / 2) continue
      const frames = Array.from({ length: BATCH }, () => {
        const seq = ++sent
        return `{"type":"publish","seq":${seq},"topic":"load.topic-${seq % TOPICS}","data":{"n":${seq},"text":"${'x'.repeat(60)}"}}`
      })
      publisher.socket.write(clientFrame(`[${frames.join(',')}]`))
      publisher.waiting += BATCH
      due -= BATCH
    }
  }, 5)
}

/** A message a second to each queue; every tenth has a consumer. */
async function enqueueAll(port: number): Promise<NodeJS.Timeout> {
  const client = connect(`ws://127.0.0.1:${port}/`, { name: 'queues' })
  for (let n = 0; n < QUEUES; n += 10) client.consume(`queue-${n}`, () => {})
  await client.ready()
  let n = 0
  return setInterval(() => {
    for (let i = 0; i < QUEUES / 20; i++) client.enqueue(`queue-${n++ % QUEUES}`, { n }).catch(() => {})
  }, 50)
}

/** Looks at each section, and prints the tasks and frames of the page meanwhile; resolves to the longest task. */
async function look(page: Page, port: number): Promise<number> {
  const client: Client = connect(`ws://127.0.0.1:${port}/`)
  await page.addInitScript(() => {
    const tasks: number[] = []
    Object.assign(globalThis, { tasks })
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) tasks.push(duration)
    }).observe({ type: 'longtask' })
  })
  await page.goto(`http://127.0.0.1:${port}/`)
  await page.locator('.figures').waitFor({ timeout: 60_000 })
  let longest = 0
  for (const section of SECTIONS) {
    await page.evaluate((to) => {
      ;(globalThis as unknown as { tasks: number[] }).tasks.length = 0
      location.hash = to
    }, section)
    await page.waitForTimeout(LOOK_MS)
    const tasks = await page.evaluate(() => (globalThis as unknown as { tasks: number[] }).tasks)
    const { publishedPerSecond, eventLoopDelayMs } = (await client.call('hub.show')) as HubInfo
    const worst = Math.max(0, ...tasks)
    longest = Math.max(longest, worst)
    process.stdout.write(
      `${section.padEnd(22)} ${tasks.length} tasks over 50 ms, the longest ${worst.toFixed(0)} ms; ` +
        `${Math.round(publishedPerSecond).toLocaleString('en')} messages/s, the hub's event loop ${eventLoopDelayMs.toFixed(0)} ms late\n`,
    )
  }
  await client.close()
  return longest
}

/** Prints how much of a core the hub's process uses without a page, and with an open overview or list of queues. */
async function weigh(page: Page, port: number, pid: number): Promise<void> {
  const places = ['about:blank', `http://127.0.0.1:${port}/#/`, `http://127.0.0.1:${port}/#/queues`]
  const shares = places.map((): number[] => [])
  for (let pair = 0; pair < CPU_PAIRS; pair++) {
    for (const [n, place] of places.entries()) {
      await page.goto('about:blank')
      await page.goto(place)
      await page.waitForTimeout(1000)
      const [before, started] = [cpuSeconds(pid), performance.now()]
      await page.waitForTimeout(CPU_MS)
      shares[n]?.push((cpuSeconds(pid) - before) / ((performance.now() - started) / 1000))
    }
  }
  for (const [n, place] of places.entries()) {
    const [least = 0, ...rest] = (shares[n] ?? []).sort((a, b) => a - b)
    const mean = [least, ...rest].reduce((sum, each) => sum + each, 0) / CPU_PAIRS
    process.stdout.write(
      `The hub with ${place === 'about:blank' ? 'no page' : new URL(place).hash} open: ${(mean * 100).toFixed(1)} % of a core ` +
        `(${(least * 100).toFixed(1)} to ${((rest.at(-1) ?? least) * 100).toFixed(1)})\n`,
    )
  }
}

/** Whether a row of a busy list has moved under the pointer. */
async function watchRows(page: Page, port: number): Promise<boolean> {
  const client = connect(`ws://127.0.0.1:${port}/`)
  for (let n = QUEUES; n < MANY_QUEUES; n++) await client.admin.queues.declare({ name: `queue-${n}` })
  // Another page, and not another place of the one that is open.
  await page.goto('about:blank')
  await page.goto(`http://127.0.0.1:${port}/#/queues?sort=publishedPerSecond`)
  const names = () => page.locator('tbody th a').allTextContents()
  await page.locator('tbody tr').nth(10).hover()
  const before = (await names()).join()
  let moved = 0
  for (const end = performance.now() + STILL_MS; performance.now() < end; await page.waitForTimeout(250)) {
    if ((await names()).join() !== before) moved++
  }
  process.stdout.write(`${MANY_QUEUES} queues, ${STILL_MS / 1000} s under the pointer: rows moved ${moved} times\n`)
  await client.close()
  return moved > 0
}
