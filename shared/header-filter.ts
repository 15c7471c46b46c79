import type { HeaderFilter, Headers } from './frames.ts'

/** Whether a message's headers pass a filter. An empty `all` passes everything, an empty `any` nothing. */
export function passesFilter(filter: HeaderFilter, headers: Headers | undefined): boolean {
  const has = ([name, value]: [string, string]) =>
    headers !== undefined && Object.hasOwn(headers, name) && headers[name] === value
  return 'all' in filter ? Object.entries(filter.all).every(has) : Object.entries(filter.any).some(has)
}
