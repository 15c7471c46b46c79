/** What a thrown value says. Anything can be thrown, and some of it cannot even be made text. */
export function wordsOf(thrown: unknown): string {
  try {
    return String((thrown as { readonly message?: unknown } | null | undefined)?.message ?? thrown)
  } catch {
    return 'Something without words was thrown'
  }
}
