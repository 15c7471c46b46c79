import type { DeadLetter } from '../../../client/node.ts'

/** What a worker did with a message, in order. */
export interface Note {
  readonly n: number
  readonly act:
    | 'begin'
    | 'done'
    | 'throw'
    | 'throw later'
    | 'hang'
    | 'die'
    | 'die later'
    | 'reject'
    | 'aborted'
    | 'lost'
  readonly attempt?: number
  readonly code?: string
  /** The process, if it is one of its own. */
  readonly by?: number
}

/** What the hub says in the end. */
export interface End {
  readonly drained: boolean
  readonly acked: number
  readonly letters: readonly DeadLetter[]
  /** Processes that did not end in good order. */
  readonly died: ReadonlySet<number>
  /** Some workers do not report what they begin: the hub charges their oldest delivery, of which they may have no history. */
  readonly guesses: boolean
}

const INTERRUPTED: readonly Note['act'][] = ['hang', 'die', 'die later', 'lost', 'aborted']

/** What should not have happened; nothing where all is well. */
export function judge(
  count: number,
  maxAttempts: number,
  notes: readonly Note[],
  { drained, acked, letters, died, guesses }: End,
) {
  const wrong: string[] = []
  if (!drained) wrong.push('it does not come to an end')
  const byMessage = Array.from({ length: count }, (): Note[] => [])
  for (const note of notes) byMessage[note.n]?.push(note)
  const dead = new Map(letters.map((letter) => [(letter.message.data as { n: number }).n, letter]))
  // A late ack may still find the message done twice, never more often acked than there are messages.
  if (drained && acked + dead.size !== count) wrong.push(`${acked} acked and ${dead.size} dead, of ${count}`)
  for (const [n, history] of byMessage.entries()) {
    const told = `${n}: ${history.map(({ act, attempt, code }) => [act, attempt, code].filter(Boolean).join(' ')).join(', ')}`
    const done = history.filter(({ act }) => act === 'done').length
    const letter = dead.get(n)
    if (drained && !letter && done === 0) wrong.push(`lost ${told}`)
    if (done > 1 && !history.some(({ act, by }) => INTERRUPTED.includes(act) || died.has(by ?? 0)))
      wrong.push(`done ${done} times ${told}`)
    if (guesses) continue
    let begun = 0
    let dies = false
    for (const { act, attempt = 1, code } of history) {
      if (act === 'begin' && begun < attempt - 1) wrong.push(`charged for what no handler had begun ${told}`)
      if (act === 'begin') begun++
      // An orderly end gives it back, unless the worker dies meanwhile.
      if (act === 'aborted' && code === 'client_closed' && !dies) begun--
      dies = act === 'die' || act === 'die later'
    }
    const rejected = history.some(({ act }) => act === 'reject')
    if (letter?.reason === 'attempts' && begun < maxAttempts) wrong.push(`dead after ${begun} attempts ${told}`)
    if (letter?.reason === 'rejected' && !rejected) wrong.push(`rejected without a reject ${told}`)
  }
  return wrong
}
