import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** Runs a task in a process of its own: that of a file that ends with `doTask`. */
export async function runTask<Task, Result>(file: string, task: Task): Promise<Result> {
  const args = [...process.execArgv, file, JSON.stringify(task)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.on('data', (chunk) => {
    text += chunk
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`The client ended with ${code}`)
  return JSON.parse(text) as Result
}

/** The other side: does the task if this process was started for it, and not if the file was imported. */
export async function doTask<Task, Result>(file: string, run: (task: Task) => Promise<Result>): Promise<void> {
  if (process.argv[1] !== file) return
  const result = await run(JSON.parse(process.argv[2] as string) as Task)
  process.stdout.write(JSON.stringify(result))
}
