import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { ROOT } from '../versions/node.ts'

/** Starts a hub in a process of its own, since commands hold up this one. Returns its address; it ends with this process. */
export async function startHub(env: NodeJS.ProcessEnv): Promise<string> {
  const args = ['dist/server/main.js', 'serve', '--port', '0', '--engine', 'ws']
  const hub = spawn('node', args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] })
  process.on('exit', () => hub.kill())
  for await (const line of createInterface({ input: hub.stderr })) {
    const { port } = JSON.parse(line) as { port?: number }
    if (port !== undefined) return `ws://127.0.0.1:${port}/`
  }
  throw new Error(`The hub has ended: ${await once(hub, 'exit')}`)
}
