import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'

/** Linux counts a process's time in hundredths of a second. */
const TICKS_PER_SECOND = 100
const TASKSET = '/usr/bin/taskset'

export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

export function residentBytes(pid: number): number {
  const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))
  return Number(line?.[1]) * 1024
}

/** A command that keeps to one core, where the system can say so: server and load then do not compete. */
export function onCore(core: number, command: readonly string[]): string[] {
  return existsSync(TASKSET) ? [TASKSET, '-c', String(core), ...command] : [...command]
}

export function moveToCore(core: number): void {
  if (existsSync(TASKSET)) execFileSync(TASKSET, ['-a', '-pc', String(core), String(process.pid)], { stdio: 'ignore' })
}
