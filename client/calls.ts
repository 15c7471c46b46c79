import type { ResultFrame } from '../shared/frames.ts'
import { encodeChecked } from './encode-checked.ts'
import type { Line, Patience } from './line.ts'

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
    return this.#line.send(seq, encodeChecked({ type: 'call', seq, method, params }), patience)
  }

  result({ seq, result }: ResultFrame): void {
    this.#line.answered(seq, ({ resolve }) => resolve(result))
  }
}
