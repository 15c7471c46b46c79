/**
 * The photo demo: `npm run demo`, then one address. A hub, an edge and five services, each a process of its own. This process starts and ends them.
 * `contract.ts` defines the messages that they exchange.
 */
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type HubProcess, startHubProcess } from './hub.ts'
import { Stage } from './stage.ts'

const PORT = 8080
const PAGE = fileURLToPath(new URL('dist/index.html', import.meta.url))
const USAGE = 'npm run demo -- [--port <port>] [--data <folder>]'

let hub: HubProcess | undefined
let stage: Stage | undefined
/** To be removed at the end. */
let temporary: string | undefined
let ending: Promise<never> | undefined

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void end(0))
endWithNpm()

try {
  await start()
} catch (error) {
  // Whatever was under way when it was asked to end has failed for that reason.
  if (!ending) console.error((error as Error).message)
  await end(1)
}

async function start(): Promise<void> {
  const { port, folder } = options()
  if (!existsSync(PAGE)) throw new Error('The page is not built. Run: npm run demo')
  await refuseBusy(port)
  const data = folder ?? mkdtempSync(join(tmpdir(), 'fanfare-photos-'))
  if (folder === undefined) temporary = data
  const photos = join(data, 'photos')
  mkdirSync(photos, { recursive: true })
  hub = startHubProcess(data)
  const url = await hub.url
  hub.child.once('exit', () => {
    if (!ending) console.error('The hub has stopped')
    void end(1)
  })
  if (ending) return
  stage = new Stage({ hub: url, photos, port })
  console.log(`Open ${await stage.start()}`)
  console.log(`Data directory: ${data}${temporary === undefined ? '' : ' (deleted at the end)'}`)
}

function options(): { port: number; folder: string | undefined } {
  const { values } = parseArgs({ options: { port: { type: 'string' }, data: { type: 'string' } } })
  const port = Number(values.port ?? process.env['PORT'] ?? PORT)
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new Error(`The port must be a number. ${USAGE}`)
  return { port, folder: values.data === undefined ? undefined : resolve(values.data) }
}

/** Checked before anything is started that would have to be stopped again. */
async function refuseBusy(port: number): Promise<void> {
  const server = createServer()
  try {
    await once(server.listen(port, '127.0.0.1'), 'listening')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'EADDRINUSE') throw new Error(`The page cannot be served on port ${port}: ${message}`)
    throw new Error(`Port ${port} is in use. Stop what uses it, or choose another: npm run demo -- --port ${port + 1}`)
  }
  server.close()
  await once(server, 'close')
}

/** npm runs a script in a shell, and that shell does not pass on a signal. All that can be seen here is that it is gone. */
function endWithNpm(): void {
  const shell = process.ppid
  if (process.env['npm_lifecycle_event'] !== 'demo') return
  setInterval(() => {
    if (process.ppid !== shell) void end(0)
  }, 500)
}

/** Ends every process, removes what is temporary, then exits. */
function end(code: number): Promise<never> {
  ending ??= (async () => {
    await stage?.stop()
    if (hub && hub.child.exitCode === null && hub.child.signalCode === null) {
      hub.child.kill('SIGTERM')
      await once(hub.child, 'exit')
    }
    if (temporary !== undefined) rmSync(temporary, { recursive: true, force: true })
    process.exit(code)
  })()
  return ending
}
