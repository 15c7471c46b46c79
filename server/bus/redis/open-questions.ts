interface Open {
  readonly node: string
  readonly timer: NodeJS.Timeout
  resolve(answer: unknown): void
}

/** Questions to other nodes that have no answer yet. Each ends with an answer, with undefined when its time is up, or when the node leaves. */
export class OpenQuestions {
  private readonly open = new Map<number, Open>()
  private last = 0

  add(node: string, timeoutMs: number): { readonly number: number; readonly answer: Promise<unknown> } {
    const number = ++this.last
    const answer = new Promise((resolve) => {
      const timer = setTimeout(() => this.end(number, undefined), timeoutMs)
      this.open.set(number, { node, timer, resolve })
    })
    return { number, answer }
  }

  end(number: number, answer: unknown): void {
    const question = this.open.get(number)
    if (!question) return
    this.open.delete(number)
    clearTimeout(question.timer)
    question.resolve(answer)
  }

  left(node: string): void {
    for (const [number, question] of this.open) if (question.node === node) this.end(number, undefined)
  }
}
