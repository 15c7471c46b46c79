import type { TemplateResult } from 'lit/html.js'
import type { PageRoute } from './route.ts'

/** One open page of the dashboard. */
export interface Page {
  readonly title: string
  view(): TemplateResult
  /** Stops what the page had running when the user leaves it. */
  close?(): void
}

export type OpenPage = (route: PageRoute) => Page
