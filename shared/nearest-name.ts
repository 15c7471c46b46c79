/** The known name that another one was probably meant to be: two letters apart at most, or the other without its end. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const [nearest] = known
    .map((each) => ({ each, apart: name.startsWith(each) ? 1 : distance(name.slice(0, 40), each) }))
    .filter(({ apart }) => apart <= 2)
    .sort((a, b) => a.apart - b.apart)
  return nearest?.each
}

/** How many letters have to be added, left out or replaced. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at)
  for (let n = 0; n < from.length; n++) {
    const next = [n + 1]
    for (let at = 0; at < to.length; at++) {
      const replaced = (row[at] as number) + (from[n] === to[at] ? 0 : 1)
      next.push(Math.min(replaced, (row[at + 1] as number) + 1, (next[at] as number) + 1))
    }
    row = next
  }
  return row[to.length] as number
}
