/**
 * CPU time that this process used for something, in milliseconds. It shows whether work is too expensive and, unlike elapsed time, hardly depends
 * on what else the machine is doing.
 */
export async function cpuTime(act: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage()
  await act()
  return cpuSince(before)
}

export function cpuSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}
