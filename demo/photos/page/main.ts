import { html, render } from 'lit'
import './line-chart.ts'
import { analytics } from './sections/analytics.ts'
import { deadLetters } from './sections/dead-letters.ts'
import { drop, listenForPaste } from './sections/drop.ts'
import { footer, header } from './sections/frame.ts'
import { gallery } from './sections/gallery.ts'
import { kill } from './sections/kill.ts'
import { moderation } from './sections/moderation.ts'
import { network } from './sections/network.ts'
import { notifications, toasts, watchView } from './sections/notifications.ts'
import { policies } from './sections/policies.ts'
import { services } from './sections/services.ts'
import { spike } from './sections/spike.ts'
import { onChange, open } from './store.ts'

const page = () => html`
  ${header()}
  <main id="main">
    ${drop()} ${services()} ${notifications()} ${gallery()} ${spike()} ${kill()} ${deadLetters()}
    ${network()} ${policies()} ${moderation()} ${analytics()}
  </main>
  ${footer()} ${toasts()}
`

// However much happens, the page is drawn at most once a frame.
let drawing = false
function draw(): void {
  if (drawing) return
  drawing = true
  requestAnimationFrame(() => {
    drawing = false
    render(page(), document.body)
  })
}

onChange(draw)
listenForPaste()
render(page(), document.body)
watchView()
await open()
