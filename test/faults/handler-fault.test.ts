import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { onEveryEngine } from '../setup/hubs.ts'
import { streamWorlds } from '../setup/streams.ts'

const SERVICE = fileURLToPath(new URL('./stream-reader.js', import.meta.url))

/** Runs the service until it ends. */
function run(url: string, env: Record<string, string> = {}): Promise<{ code: number; lines: string[]; error: string }> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [SERVICE],
      { env: { ...process.env, FANFARE_URL: url, ...env } },
      (_, out, error) =>
        resolve({ code: child.exitCode as number, lines: out.trim().split('\n').filter(Boolean), error }),
    )
  })
}

onEveryEngine('a service whose handler fails at a message', (hubs) => {
  const start = streamWorlds(hubs)

  it('ends with the error, does nothing twice when it is started again, and passes it with an onError', async () => {
    const { client, url } = await start()
    const publisher = client()
    for (const data of ['1', '2', 'bad', 'last']) await publisher.publish('s.a', data)
    const first = await run(url)
    expect(first).toMatchObject({ code: 1, lines: ['1', '2'] })
    expect(first.error).toMatch('It cannot be handled')
    expect((await publisher.admin.streams.cursors('s')).cursors).toMatchObject([{ name: 'service', offset: 2 }])
    expect(await run(url)).toMatchObject({ code: 1, lines: [] })
    expect(await run(url, { SKIP: '1' })).toMatchObject({ code: 0, lines: ['skipped bad', 'last'] })
  })
})
