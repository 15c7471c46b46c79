import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { checkConfig } from '../../server/config.ts'
import { freePort } from '../setup/free-port.ts'
import { OwnProcess } from '../setup/own-process.ts'
import { PageServer } from '../setup/page-server.ts'
import { begins, matches } from './matches.ts'
import { type Project, withoutTypes } from './project.ts'
import type { Snippet } from './snippets.ts'

/** Longest time that a snippet takes, on a busy machine too. */
const PATIENCE_MS = 60_000
/** Servers of a page's own, which its snippets make and ask. */
const OWN_SERVERS = ['3000', '3001', '3002', '8080']
/** What the project has already, or is made for. */
const INSTALLS = /^npm (install|init|i) .*\n?/gm

export interface World {
  readonly project: Project
  /** The port of the hub of all pages, which snippets know as 4747. */
  readonly port: number
  readonly browser: () => Promise<Browser>
}

/** Runs the snippets of one page, in order. */
export class PageRun {
  private readonly world: World
  private readonly folder: string
  private readonly ends: (() => Promise<void>)[] = []
  private port: string
  private readonly ports = new Map<string, string>()

  constructor(world: World, page: string) {
    this.world = world
    this.folder = world.project.folderOf(page)
    this.port = String(world.port)
  }

  /** Rejects if it does not do what the page says. */
  async run(snippet: Snippet): Promise<void> {
    if (this.ports.size === 0) for (const own of OWN_SERVERS) this.ports.set(own, String(await freePort()))
    const { language, flags, file } = snippet
    if (language === 'json') return this.json(snippet)
    if (language === 'html') return this.html(snippet)
    if (file !== undefined) return this.save(file, this.here(snippet.code))
    if (flags.has('shown') || flags.has('checkout')) return
    if (language === 'ts' || language === 'js') return this.program(snippet)
    if (language === 'sh') return this.commands(snippet)
  }

  /** Ends what runs in the background. Rejects if that has not done what the page says. */
  async end(): Promise<void> {
    const errors: string[] = []
    for (const end of this.ends.reverse()) await end().catch((error: Error) => errors.push(error.message))
    if (errors.length > 0) throw new Error(errors.join('\n'))
  }

  private async program(snippet: Snippet): Promise<void> {
    const isCommonJs = snippet.language === 'js' && snippet.code.includes('require(')
    const name = `line-${snippet.line}.${isCommonJs ? 'cjs' : 'mjs'}`
    const isHub = snippet.code.includes(`'fanfare/server'`)
    const port = isHub ? String(await freePort()) : this.port
    const code = this.here(snippet.code, port)
    this.save(name, snippet.language === 'ts' ? withoutTypes(code) : code)
    const program = this.started(process.execPath, [name])
    if (snippet.flags.has('background')) {
      await program.said('stdout', /\n/)
      if (isHub) this.port = port
    }
    await this.finished(snippet, program)
  }

  private async commands(snippet: Snippet): Promise<void> {
    const isHub = /\bfanfare serve\b|\bnpm start\b/.test(snippet.code)
    const code = this.here(snippet.code.replace(INSTALLS, ''), isHub ? '0' : this.port)
    if (code.trim() === '') return
    const shell = this.started('/bin/sh', ['-ec', code], isHub ? { FANFARE_PORT: '0' } : {})
    if (isHub) this.port = (await shell.said('stderr', /"port":(\d+)/))[1] as string
    else if (snippet.flags.has('background'))
      await Promise.race([shell.said('stdout', /\n/), shell.said('stderr', /\n/)])
    await this.finished(snippet, shell, isHub)
  }

  private started(command: string, args: readonly string[], env: Record<string, string> = {}): OwnProcess {
    const own = { PATH: this.world.project.path, FANFARE_URL: `ws://127.0.0.1:${this.port}`, NO_COLOR: '1' }
    const process = new OwnProcess(command, args, { ...own, ...env }, this.folder)
    const timer = setTimeout(() => process.signal('SIGKILL'), PATIENCE_MS)
    this.ends.push(async () => {
      process.signal('SIGKILL')
      await process.exit
    })
    process.exit.finally(() => clearTimeout(timer))
    return process
  }

  /** Waits for the end of a process, or in the background for what it is to print. */
  private async finished({ flags, output }: Snippet, process: OwnProcess, isHub = false): Promise<void> {
    const expected = output === undefined ? undefined : this.here(output)
    if (isHub || flags.has('background')) {
      if (expected === undefined) return
      // What it prints, later snippets may cause.
      this.ends.push(() => this.printed(process, expected))
      return
    }
    const code = await process.exit
    const printed = flags.has('fails') ? process.stdout + process.stderr : process.stdout
    if ((code === 0) === flags.has('fails'))
      throw new Error(`It ended with ${code}:\n${process.stdout}${process.stderr}`)
    if (expected !== undefined && !matches(printed, expected)) {
      throw new Error(`It printed:\n${printed}${process.stderr}\nThe page says:\n${expected}`)
    }
  }

  private async printed(process: OwnProcess, expected: string): Promise<void> {
    const timer = setTimeout(() => process.signal('SIGKILL'), PATIENCE_MS / 4)
    while (!begins(process.stdout, expected)) {
      if (process.hasEnded) {
        throw new Error(
          `In the background it printed:\n${process.stdout}${process.stderr}\nThe page says:\n${expected}`,
        )
      }
      await process.more()
    }
    clearTimeout(timer)
  }

  private async html(snippet: Snippet): Promise<void> {
    const [server, browser] = await Promise.all([PageServer.start(), this.world.browser()])
    server.html = this.here(snippet.code)
    const page = await browser.newPage()
    this.ends.push(async () => {
      await page.close()
      await server.close()
    })
    const errors: string[] = []
    page.on('pageerror', ({ message }) => errors.push(message))
    const subscribed = heardFromHub(page, snippet.code)
    await page.goto(server.url)
    await subscribed
    this.ends.push(async () => {
      if (snippet.output !== undefined) await shows(page, this.here(snippet.output))
      if (errors.length > 0) throw new Error(errors.join('\n'))
    })
  }

  private json({ code, flags, file }: Snippet): void {
    const value: unknown = JSON.parse(code)
    if (!flags.has('data')) checkConfig(value as object)
    if (file !== undefined) this.save(file, this.here(code))
  }

  private save(file: string, text: string): void {
    mkdirSync(join(this.folder, file, '..'), { recursive: true })
    writeFileSync(join(this.folder, file), text)
  }

  /** With the addresses of this run instead of the page's. */
  private here(text: string, port = this.port): string {
    const ports = new Map(this.ports).set('4747', port)
    return text.replace(/\b\d{4}\b/g, (number) => ports.get(number) ?? number)
  }
}

/** Resolves when the hub has confirmed a subscription of this page: what comes after it is not missed. */
async function heardFromHub(page: Page, code: string): Promise<void> {
  if (code.includes('EventSource')) await page.waitForResponse(/\/v1\/events/, { timeout: PATIENCE_MS })
  if (!code.includes('connect(')) return
  await new Promise<void>((resolve) => {
    page.on('websocket', (socket) =>
      socket.on('framereceived', ({ payload }) => {
        if (payload.includes('"subscribed"')) resolve()
      }),
    )
  })
}

async function shows(page: Page, expected: string): Promise<void> {
  const wanted = expected.trim()
  await page
    .waitForFunction((text) => document.body.innerText.includes(text), wanted, { timeout: PATIENCE_MS / 4 })
    .catch(async () => {
      throw new Error(`The page shows:\n${await page.innerText('body')}\nand not:\n${wanted}`)
    })
}
