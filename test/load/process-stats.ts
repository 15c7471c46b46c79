import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'

/** Linux counts a process's time in hundredths of a second. */
const TICKS_PER_SECOND = 100
const TASKSET = '/usr/bin/taskset'

/** Whether the CPU and memory of another process can be known here: on Linux. */
export const processStats = existsSync('/proc/self/stat')

/** The cores that this process may use, where it can be said which of them another is to use; else none. */
const cores = processStats && existsSync(TASKSET) ? allowedCores() : []
/** Server and load keep to one core each, where there are two, and do not compete. */
export const separateCores = cores.length >= 2

export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

export function residentBytes(pid: number): number {
  const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))
  return Number(line?.[1]) * 1024
}

/** A command that keeps to the core of servers. */
export function onServerCore(command: readonly string[]): string[] {
  return separateCores ? [TASKSET, '-c', String(cores[0]), ...command] : [...command]
}

/** Keeps this process off the core of servers. */
export function moveToLoadCore(): void {
  if (!separateCores) return
  execFileSync(TASKSET, ['-a', '-pc', String(cores[1]), String(process.pid)], { stdio: 'ignore' })
}

/** As `Cpus_allowed_list: 0-3,8` has them. */
function allowedCores(): number[] {
  const list = /Cpus_allowed_list:\s+(\S+)/.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? ''
  return list.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number)
    return first === undefined || last === undefined
      ? []
      : Array.from({ length: last - first + 1 }, (_, n) => first + n)
  })
}
