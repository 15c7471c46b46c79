/** A thrown value as text, even one that cannot be converted, such as an object without a prototype. */
export function textOf(thrown: unknown, field: 'message' | 'stack' | 'href' = 'message'): string {
  try {
    return String((thrown as (Error & { readonly href?: string }) | null | undefined)?.[field] || thrown)
  } catch {
    return `Something of the type ${typeof thrown} was thrown`
  }
}
