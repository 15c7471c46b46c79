/**
 * Private members are not found through a proxy. Vue puts one around every plain object in its state, and takes an object for plain unless
 * it has a tag.
 */
export function unproxied(...classes: readonly { readonly prototype: object }[]): void {
  for (const { prototype } of classes) Object.defineProperty(prototype, Symbol.toStringTag, { value: 'Fanfare' })
}
