/** A subscriber with a synchronous handler that blocks its process; see `slow-handler.ts`. */
import process from 'node:process'
import { connect } from 'fanfare/client'

const never = new Int32Array(new SharedArrayBuffer(4))

process.once('message', ({ url, pattern, handlerMs, options }) => {
  const tell = (seen) => void process.send(seen)
  const client = connect(url, { name: 'slow', backoff: { base: 60_000, cap: 60_000 } })
  client.onState(({ to, reason }) => {
    if (to === 'waiting') tell({ what: 'lost', closeCode: reason.closeCode })
  })
  const subscription = client.subscribe(
    pattern,
    ({ key, data }) => {
      tell({ what: 'handled', n: data.n, key, ageMs: Date.now() - data.at })
      // The event loop stands still, and other processes have the core.
      Atomics.wait(never, 0, 0, handlerMs)
    },
    { ...options, onGap: ({ count = 0, reason }) => tell({ what: 'gap', count, reason }) },
  )
  subscription.ready.then(() => tell({ what: 'ready' }))
})
