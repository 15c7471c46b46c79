import { connect } from '../../client/node.ts'
import type { Reading, Seen } from './slow-handler.ts'

process.once('message', ({ url, pattern, handlerMs, options }: Reading) => {
  const tell = (seen: Seen) => void process.send?.(seen)
  const client = connect(url, { name: 'slow', backoff: { base: 60_000, cap: 60_000 } })
  client.onState(({ to, reason }) => {
    if (to === 'waiting') tell({ what: 'lost', closeCode: reason.closeCode })
  })
  const subscription = client.subscribe(
    pattern,
    ({ key, data: published }) => {
      const data = published as { n: number; at: number }
      const now = Date.now()
      tell({ what: 'handled', n: data.n, key, ageMs: now - data.at })
      while (Date.now() - now < handlerMs);
    },
    { ...options, onGap: ({ count = 0, reason }) => tell({ what: 'gap', count, reason }) },
  )
  subscription.ready.then(() => tell({ what: 'ready' }))
})
