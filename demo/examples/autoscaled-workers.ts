/**
 * Workers that come and go with the load. `fanfare work` starts as many as the queue wants, and stops them when it is empty:
 *
 * npx fanfare work --queue thumbnails --min 1 --max 4 -- npx tsx autoscaled-workers.ts worker
 *
 * Run `npx tsx autoscaled-workers.ts` to see it: it starts a hub, that command, and a burst of jobs.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { connect } from 'fanfare/client'
import { startHub } from 'fanfare/server'

const JOBS = 120
const JOB_MS = 250

if (process.argv[2] === 'worker') await work()
else await main()

/** `fanfare work` starts it, sets the address of the hub in its environment, and sends SIGTERM when fewer workers are wanted. */
async function work(): Promise<void> {
  const client = connect(process.env['FANFARE_URL'] as string)
  client.consume(process.env['FANFARE_QUEUE'] as string, async (job) => {
    await new Promise((resolve) => setTimeout(resolve, JOB_MS))
    await job.ack({ publish: [{ topic: 'thumbnails.done', data: process.pid }] })
  })
  // Finishes the job under way; prefetched ones go back to the queue.
  process.once('SIGTERM', () => client.close())
}

async function main(): Promise<void> {
  const hub = await startHub({ port: 0, queues: [{ name: 'thumbnails' }] })
  const url = `ws://127.0.0.1:${hub.port}`
  const client = connect(url)
  const done = client.subscribe('thumbnails.done')
  await done.ready
  await Promise.all(Array.from({ length: JOBS }, (_, job) => client.enqueue('thumbnails', { job })))

  const worker = [process.execPath, ...process.execArgv, fileURLToPath(import.meta.url), 'worker']
  const fanfare = fileURLToPath(new URL('main.js', import.meta.resolve('fanfare/server')))
  const args = [fanfare, 'work', '--queue', 'thumbnails', '--max', '4', '--', ...worker]
  const scaler = spawn(process.execPath, args, { env: { ...process.env, FANFARE_URL: url }, stdio: 'inherit' })

  const workers = new Set<unknown>()
  let left = JOBS
  for await (const { data } of done) {
    workers.add(data)
    if (--left === 0) break
  }
  console.log(`${JOBS} jobs done by ${workers.size} workers`)
  scaler.kill()
  await once(scaler, 'exit')
  await client.close()
  await hub.close()
}
