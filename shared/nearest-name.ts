/**
 * The known name that another one was probably meant to be: the other with one or two letters mistyped, or without its end. An end counts after a single
 * letter, because a name may begin with the whole of a shorter one that is known too.
 */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const near = (most: number) => known.find((each) => isNear(name, each, Math.min(most, name.length / 2)))
  return near(1) ?? known.find((each) => name.startsWith(each)) ?? near(2)
}

/** A question that names the nearest known name, to follow a sentence; empty if there is none. */
export function didYouMean(name: string, known: readonly string[]): string {
  const nearest = nearestName(name, known)
  return nearest === undefined ? '' : ` Did you mean "${nearest}"?`
}

/** Whether at most this many letters have to be added, left out or replaced. */
function isNear(a: string, b: string, edits: number): boolean {
  if (a === b) return true
  if (edits < 1) return false
  let at = 0
  while (a[at] === b[at]) at++
  const [restA, restB] = [a.slice(at), b.slice(at)]
  return [
    [restA.slice(1), restB],
    [restA, restB.slice(1)],
    [restA.slice(1), restB.slice(1)],
  ].some(([nextA = '', nextB = '']) => isNear(nextA, nextB, edits - 1))
}
