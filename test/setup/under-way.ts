/** Limits the work in progress: when the maximum is reached, more work waits. */
export class UnderWay {
  private readonly most: number
  private readonly all = new Set<Promise<unknown>>()

  constructor(most: number) {
    this.most = most
  }

  /** Resolves when it has begun. */
  async begin(work: () => Promise<unknown>): Promise<void> {
    if (this.all.size >= this.most) await Promise.race(this.all)
    const one: Promise<unknown> = work().finally(() => this.all.delete(one))
    this.all.add(one)
  }

  /** Resolves when nothing is under way; rejects as soon as something has failed. */
  async done(): Promise<void> {
    await Promise.all(this.all)
  }
}
