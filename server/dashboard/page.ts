import type { TemplateResult } from 'lit/html.js'
import type { PageRoute } from './route.ts'

/** One section of the page while it is open. */
export interface Page {
  readonly title: string
  view(): TemplateResult
  /** It is left: stops what it had running. */
  close?(): void
}

export type OpenPage = (route: PageRoute) => Page
