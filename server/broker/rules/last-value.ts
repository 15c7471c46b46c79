/** Identifies a value of a last-value stream: a message replaces earlier ones with the same topic and key. Topics contain no spaces. */
export function valueName(topic: string, key: string | undefined): string {
  return `${topic} ${key ?? ''}`
}

/** Whether a newer value has replaced a message; `standing` is the offset of the current value, if there is one. */
export function isReplaced(offset: number, standing: number | undefined): boolean {
  return standing !== undefined && standing > offset
}

/** Fewer replaced messages are not worth rewriting a log. */
const WORTH_COMPACTING = 1000

/** Whether to rewrite a log without the replaced messages: there are many, and more than half of all. */
export function isWorthCompacting(messages: number, superseded: number): boolean {
  return superseded > WORTH_COMPACTING && superseded * 2 > messages
}
