/** What a publisher of the load sends: who it is, and its how manyth message this is. */
export type Numbered = readonly [publisher: string, n: number]

interface Last {
  n: number
  /** A gap was reported after it. */
  isTold: boolean
}

/** What one subscriber saw: each message that it missed must have been reported before the next one of the same publisher. */
export class LossChecker {
  messages = 0
  gaps = 0
  missed = 0
  silentlyMissed = 0
  disordered = 0
  private readonly last = new Map<string, Last>()

  message([publisher, n]: Numbered): void {
    this.messages++
    const last = this.last.get(publisher)
    if (last) {
      if (n <= last.n) this.disordered++
      this.count(n - last.n - 1, last)
    }
    this.last.set(publisher, { n, isTold: false })
  }

  gap(): void {
    this.gaps++
    for (const last of this.last.values()) last.isTold = true
  }

  /** A publisher has ended after this many messages. */
  end(publisher: string, published: number): void {
    const last = this.last.get(publisher)
    if (last) this.count(published - last.n, last)
  }

  private count(missed: number, { isTold }: Last): void {
    if (missed <= 0) return
    this.missed += missed
    if (!isTold) this.silentlyMissed += missed
  }
}
