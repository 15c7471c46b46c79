/** Waits until nothing is under way. */
export class Lull {
  #look: (() => void) | undefined

  /** Resolves once this is not so, which is looked at whenever `look` is called. */
  async after(isBusy: () => boolean): Promise<void> {
    while (isBusy()) {
      await new Promise<void>((resolve) => {
        this.#look = resolve
      })
    }
  }

  look(): void {
    this.#look?.()
  }
}
