import { invalidate } from './schedule.ts'

/** The current place in the dashboard: `#/queues/thumbnails/dead-letters?reason=rejected`. */
export interface PageRoute {
  readonly section: string
  /** The parts after the section. */
  readonly rest: readonly string[]
  readonly query: URLSearchParams
}

export function currentRoute(): PageRoute {
  const [path = '', query = ''] = location.hash.replace(/^#\/?/, '').split('?')
  const [section, ...rest] = path.split('/').map(decoded)
  return { section: section || 'overview', rest, query: new URLSearchParams(query) }
}

/** The address of a place, with the non-empty parameters of the query. */
export function href(parts: readonly string[], query: Readonly<Record<string, string>> = {}): string {
  const set = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== ''))
  return `#/${parts.map(encodeURIComponent).join('/')}${set.size > 0 ? `?${set}` : ''}`
}

/** Changes one query parameter in place, without a new entry in the browser's history. */
export function setQuery(route: PageRoute, name: string, value: string): void {
  if (value === '') route.query.delete(name)
  else route.query.set(name, value)
  history.replaceState(null, '', href([route.section, ...route.rest], Object.fromEntries(route.query)))
  invalidate()
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
