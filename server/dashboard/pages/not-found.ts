import { html } from 'lit/html.js'
import type { OpenPage } from '../page.ts'
import { empty, heading } from '../parts.ts'
import { href } from '../route.ts'

export const openNotFound: OpenPage = () => ({
  title: 'Page not found',
  view: () =>
    html`${heading('Page not found')}${empty('The dashboard has no page at this address', html`<a href=${href(['overview'])}>Go to the overview</a>.`)}`,
})
