import type { Client, Message } from '../../client/index.ts'
import { QUEUE_STATUS_TOPIC, type QueueInfo } from '../../shared/queues.ts'
import {
  CONNECTIONS_STATUS_TOPIC,
  type ConnectionsStatus,
  HUB_STATUS_TOPIC,
  type HubInfo,
  STREAM_STATUS_TOPIC,
  type StreamStatus,
  TOPICS_STATUS_TOPIC,
  type TopicsStatus,
} from '../../shared/sys.ts'
import { History } from './history.ts'
import { heard } from './rights.ts'

/** What the hub has not spoken of for so long is gone, in milliseconds. */
const GONE_AFTER_MS = 4000

/** A thing of which the hub speaks once a second. */
export interface Watched<Info> {
  info: Info
  readonly history: History
  seenAt: number
}

/** The figures of a queue's history. */
export const DEPTH = 0
export const PUBLISHED = 1
export const ACKED = 2

/** What the hub has said of itself. */
export class Model {
  hub: HubInfo | undefined = undefined
  /** When it last spoke, in milliseconds since 1970. */
  heardAt = 0
  /** Messages a second, in and out. */
  readonly traffic = new History(2)
  connections: ConnectionsStatus | undefined = undefined
  topics: TopicsStatus | undefined = undefined
  readonly streams = new Map<string, Watched<StreamStatus>>()
  readonly queues = new Map<string, Watched<QueueInfo>>()
  private readonly changed: () => void

  constructor(changed: () => void) {
    this.changed = changed
  }

  watch(client: Client): void {
    const on = <Data>(pattern: string, take: (data: Data) => void) => {
      const handler = ({ data }: Message) => {
        take(data as Data)
        this.changed()
      }
      const onError = (error: unknown, message?: Message) => {
        // A fault of this page.
        if (message) throw error
        heard(handler, error)
        this.changed()
      }
      client.subscribe(pattern, handler, { onError })
    }
    on<HubInfo>(HUB_STATUS_TOPIC, (info) => this.heard(info))
    on<ConnectionsStatus>(CONNECTIONS_STATUS_TOPIC, (status) => {
      this.connections = status
    })
    on<TopicsStatus>(TOPICS_STATUS_TOPIC, (status) => {
      this.topics = status
    })
    // A name may have dots, so that it is several words.
    on<StreamStatus>(`${STREAM_STATUS_TOPIC}#`, (info) => {
      watched(this.streams, info, 1).push(now(), info.publishedPerSecond)
    })
    on<QueueInfo>(`${QUEUE_STATUS_TOPIC}#`, (info) => {
      const { depth, publishedPerSecond, ackedPerSecond } = info
      watched(this.queues, info, 3).push(now(), depth, publishedPerSecond, ackedPerSecond)
    })
  }

  private heard(info: HubInfo): void {
    this.hub = info
    this.heardAt = Date.now()
    this.traffic.push(now(), info.publishedPerSecond, info.deliveredPerSecond)
    forgetGone(this.streams)
    forgetGone(this.queues)
  }
}

function watched<Info extends { name: string }>(map: Map<string, Watched<Info>>, info: Info, figures: number): History {
  const known = map.get(info.name)
  if (known) {
    known.info = info
    known.seenAt = Date.now()
    return known.history
  }
  const history = new History(figures)
  map.set(info.name, { info, history, seenAt: Date.now() })
  return history
}

function forgetGone(map: Map<string, Watched<unknown>>): void {
  const before = Date.now() - GONE_AFTER_MS
  for (const [name, { seenAt }] of map) if (seenAt < before) map.delete(name)
}

function now(): number {
  return Date.now() / 1000
}
