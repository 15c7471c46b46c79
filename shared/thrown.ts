/** What was thrown, in words: also what cannot be made text, such as an object without a prototype. */
export function textOf(thrown: unknown, field: 'message' | 'stack' = 'message'): string {
  try {
    return String((thrown as Error | null | undefined)?.[field] || thrown)
  } catch {
    return `Something of the type ${typeof thrown} was thrown`
  }
}
