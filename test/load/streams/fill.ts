import { pino } from 'pino'
import type { Draft } from '../../../server/broker/broker.ts'
import { loadBroker } from '../../../server/broker/load-broker.ts'
import { checkConfig } from '../../../server/config.ts'
import { encodeRest } from '../../../server/topic/message.ts'
import type { StreamOptions } from '../../../shared/streams.ts'
import { bareDraft } from '../../setup/drafts.ts'
import { payload } from '../delivery-counter.ts'

/** Drafts that are given to the broker at once. */
const GROUP = 10_000

/** Fills a data directory with a stream of `count` messages, as a hub would write them, without the hub. */
export async function fill(data: string, stream: StreamOptions, count: number, size: number): Promise<void> {
  const broker = await loadBroker(data, checkConfig({}), pino({ enabled: false }))
  await broker.declareStream(stream, false)
  for (let done = 0; done < count; done += GROUP) {
    await new Promise<void>((resolve, reject) => {
      let left = Math.min(GROUP, count - done)
      const kept = () => {
        if (--left === 0) resolve()
      }
      for (let n = left; n > 0; n--) broker.publish(draft(stream.name, done + n, size, kept, reject))
    })
  }
  await broker.close()
}

function draft(topic: string, n: number, size: number, kept: () => void, refused: (error: Error) => void): Draft {
  const rest = encodeRest({ type: 'publish', seq: n, topic, data: payload(n, size, 0) })
  return bareDraft({ id: `fill.${n}`, publisher: 'p', topic, route: { streams: [topic] }, rest, kept, refused })
}
