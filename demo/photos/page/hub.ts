import { type Client, connect, type QueueInfo } from 'fanfare/browser'
import type { Requests, Topics } from '../contract.ts'

/** The hub's own status topics are read like every other topic. */
export interface PageTopics extends Topics {
  '$sys.queues.thumbnails': QueueInfo
  '$sys.queues.notifications': QueueInfo
}

/** The name of this tab, for its uploads and its notifications. It survives a reload. */
export const TAB = tabName()

/** The connection of this tab. */
export const client = connectAs(TAB)

/** Another connection, through the same edge. */
export function connectAs(tab: string): Client<PageTopics> {
  const url = new URL(`hub?tab=${encodeURIComponent(tab)}`, location.href)
  url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:'
  // Someone is watching: after a cut it should reconnect soon.
  return connect<PageTopics>(url.href, { name: 'photo demo', backoff: { base: 200, cap: 1000 } })
}

/** Asks the stage to do something. A spike generates its pictures first, which takes a while. */
export function ask<Topic extends keyof Requests>(
  topic: Topic,
  data: Requests[Topic]['ask'],
): Promise<Requests[Topic]['reply']> {
  return client.request<Requests[Topic]['reply']>(topic, data, { timeout: 60_000 })
}

function tabName(): string {
  const BIRDS = ['heron', 'finch', 'robin', 'swift', 'crane', 'wren', 'stork', 'raven', 'plover', 'siskin']
  const kept = sessionStorage.getItem('tab')
  if (kept) return kept
  const [bird = 0, number = 0] = crypto.getRandomValues(new Uint16Array(2))
  const name = `${BIRDS[bird % BIRDS.length]}-${number % 1000}`
  sessionStorage.setItem('tab', name)
  return name
}
