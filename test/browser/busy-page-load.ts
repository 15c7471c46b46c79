import { parseArgs } from 'node:util'
import { number, print, row, title } from '../load/report.ts'
import { fanfare } from '../load/targets.ts'
import { launchBrowser } from '../setup/browser.ts'
import { busyPage } from '../setup/busy-page.ts'

/**
 * `npm run load:busy-page`: how old what a page shows is if its handler takes longer than updates take to come. The hub, what publishes
 * (this process) and Chromium are three processes; build first. It fails if the oldest update that was shown in the last quarter of the
 * time was older than a quarter of a second.
 */

const OLDEST_MS = 250

const { values } = parseArgs({
  options: {
    engine: { type: 'string', default: 'ws' },
    symbols: { type: 'string', default: '50' },
    rate: { type: 'string', default: '1600' },
    'handler-ms': { type: 'string', default: '5' },
    seconds: { type: 'string', default: '60' },
  },
})
const scenario = {
  symbols: Number(values.symbols),
  updatesPerSecond: Number(values.rate),
  handlerMs: Number(values['handler-ms']),
  seconds: Number(values.seconds),
}
const server = await fanfare(values.engine, [], 'all').start()
const browser = await launchBrowser()
try {
  const { symbols, updatesPerSecond, handlerMs, seconds } = scenario
  title(
    `${updatesPerSecond} updates/s of ${symbols} symbols, ${handlerMs} ms each in the page, ${seconds} s, ${values.engine}`,
  )
  const result = await busyPage(browser, server.port, scenario)
  row('age of what it shows, median', `${result.medianAgeMs} ms`)
  row('age of what it shows, oldest', `${result.oldestAgeMs} ms`, '', `at most ${OLDEST_MS} ms`)
  row('published', number(result.published))
  row('shown', number(result.handled))
  row('left out, by its gaps', number(result.leftOut))
  row('left out, by the hub, in the middle', number(result.connection.droppedTotal))
  row('its outbox, in the middle', `${number(result.connection.outboxBytes)} B`, `lag ${result.connection.lagMs} ms`)
  if (result.oldestAgeMs > OLDEST_MS) {
    print(`\nAn update of ${result.oldestAgeMs} ms was shown`)
    process.exitCode = 1
  }
} finally {
  await browser.close()
  await server.stop()
}
process.exit()
