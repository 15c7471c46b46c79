/** Identifies a value of a last-value stream: a message replaces earlier ones of its topic and key. Topics have no spaces. */
export function valueName(topic: string, key: string | undefined): string {
  return `${topic} ${key ?? ''}`
}

/** Whether a newer value stands in place of a message; `standing` is the offset of the value that stands, if one does. */
export function isReplaced(offset: number, standing: number | undefined): boolean {
  return standing !== undefined && standing > offset
}

/** Fewer messages that have been replaced are not worth rewriting a log. */
const WORTH_COMPACTING = 1000

/** Whether a log is to be rewritten without the messages that have been replaced: many have been, and more than half. */
export function isWorthCompacting(messages: number, superseded: number): boolean {
  return superseded > WORTH_COMPACTING && superseded * 2 > messages
}
