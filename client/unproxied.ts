/**
 * Private members cannot be accessed through a proxy. Vue wraps every plain object of its state in one, and considers an object plain unless
 * it has a tag.
 */
export function unproxied(...classes: readonly { readonly prototype: object }[]): void {
  for (const { prototype } of classes) Object.defineProperty(prototype, Symbol.toStringTag, { value: 'Fanfare' })
}
