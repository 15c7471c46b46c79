import type { ResultFrame } from '../shared/frames.ts'
import { fieldOf, itemsOf } from '../shared/json-text.ts'
import type { DeadLetter } from '../shared/queues.ts'
import { encodeChecked } from './encode-checked.ts'
import type { Line, Patience } from './line.ts'
import { withRaw } from './message.ts'
import type { Raw } from './received.ts'

interface Answer {
  readonly result: unknown
  readonly text: () => string | undefined
}

/** Requests of an operator, as many at once as the hub takes. */
export class Calls {
  readonly #line: Line
  readonly #nextSeq: () => number

  constructor(line: Line, nextSeq: () => number) {
    this.#line = line
    this.#nextSeq = nextSeq
  }

  call(method: string, params: unknown, patience: Patience): Promise<unknown> {
    const seq = this.#nextSeq()
    const answer = this.#line.send(
      seq,
      encodeChecked({ type: 'call', seq, method, params }),
      patience,
    ) as Promise<Answer>
    return answer.then(({ result, text }) => {
      if (method === 'deadLetters.list') addTexts(result as readonly DeadLetter[], text)
      return result
    })
  }

  result({ seq, result }: ResultFrame, raw: Raw): void {
    this.#line.answered(seq, ({ resolve }) => resolve({ result, text: () => raw('result') } satisfies Answer))
  }
}

/** The messages of dead letters get the text of their data. */
function addTexts(letters: readonly DeadLetter[], text: () => string | undefined): void {
  let texts: readonly string[] | undefined
  for (const [n, { message }] of letters.entries()) {
    withRaw(message, () => {
      texts ??= itemsOf(text() ?? '')
      return fieldOf(fieldOf(texts[n] ?? '', 'message') ?? '', 'data')
    })
  }
}
