import { setTimeout as wait } from 'node:timers/promises'

const never = new Int32Array(new SharedArrayBuffer(4))

/** The event loop stands still, and other processes have the core. */
function block(ms) {
  Atomics.wait(never, 0, 0, ms)
}

/**
 * A handler that does what its message says of this attempt, and notes how that began and ended. `die` ends the process or the connection,
 * whichever the worker has of its own, and returns what the handler does.
 */
export function handlerOf(note, die) {
  return (delivery) => {
    const { n, plan } = delivery.data
    const { attempt } = delivery
    const [kind, ms] = plan[Math.min(attempt, plan.length) - 1]
    note({ n, act: 'begin', attempt })
    const ends = (act) => () => note({ n, act, attempt })
    if (kind === 'block') {
      block(ms)
      return void ends('done')()
    }
    if (kind === 'die') {
      ends(kind)()
      return die()
    }
    if (kind === 'throw') {
      ends(kind)()
      throw new Error(`${n} cannot be done`)
    }
    delivery.signal.addEventListener('abort', () =>
      note({ n, act: 'aborted', attempt, code: delivery.signal.reason.code }),
    )
    if (kind === 'wait') return wait(ms).then(ends('done'))
    if (kind === 'hang') return new Promise(ends('hang'))
    if (kind === 'reject') {
      ends('reject')()
      return delivery.reject('unwanted')
    }
    return wait(ms).then(() => {
      ends(kind)()
      if (kind === 'die later') return die()
      throw new Error(`${n} cannot be done`)
    })
  }
}
