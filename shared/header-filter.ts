import type { HeaderFilter, MessageHeaders } from './frames.ts'

/** Whether a message's headers pass a filter. An empty `all` passes everything, an empty `any` nothing. */
export function passesFilter(filter: HeaderFilter, headers: MessageHeaders | undefined): boolean {
  const all = 'all' in filter
  const wanted = all ? filter.all : filter.any
  // No list of them is made: a thousand filters may look at one message. What is inherited is never equal to a text.
  for (const name in wanted) {
    const has = headers !== undefined && headers[name] === wanted[name]
    if (has !== all) return has
  }
  return all
}
