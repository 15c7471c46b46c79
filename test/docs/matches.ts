/**
 * Whether this is what a page says that is printed. An ellipsis in it stands for the rest of a word or number right after one, else for
 * anything in the line, and for any lines where it is all of a line.
 */
export function matches(printed: string, expected: string): boolean {
  return new RegExp(`^${source(expected)}$`).test(`${printed.trimEnd()}\n`)
}

/** Whether what was printed so far begins with it. */
export function begins(printed: string, expected: string): boolean {
  return new RegExp(`^${source(expected)}`).test(printed)
}

function source(expected: string): string {
  const lines = expected.trimEnd().split('\n')
  return lines.map((line) => (line.trim() === '…' ? '(?:.*\\n)*?' : `${lineSource(line.trimEnd())}[ \\t]*\\n`)).join('')
}

/** A line of a page as the source of a pattern. */
export function lineSource(line: string): string {
  const escaped = line.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
  return escaped.replace(/"\w+…/g, '"[\\w-]+').replace(/\d+…/g, '\\d+').replaceAll('…', '.*')
}
