import { Buffer } from 'node:buffer'
import type { BrokerEvents, Draft, Route } from '../../server/broker/broker.ts'
import { LENGTHS_BYTES } from '../../shared/codec.ts'

/** The fields of a draft that a test sets. The rest has defaults. */
export type DraftLike = Partial<Omit<Draft, 'route' | 'reroute' | 'bytes'>> &
  Pick<Draft, 'id' | 'topic' | 'kept' | 'refused'> & { readonly route?: Partial<Route> }

/** A draft with only the given fields; its route stays as it is. */
export function bareDraft({ route: { generation = 0, streams = [], queues = [] } = {}, ...like }: DraftLike): Draft {
  const { rest = '', payload } = like
  const route = { generation, streams, queues }
  return {
    publisher: undefined,
    owner: bareDraft,
    ownId: false,
    isRetry: false,
    key: undefined,
    headers: undefined,
    expiresAt: undefined,
    priority: undefined,
    dueAt: undefined,
    rest,
    payload,
    bytes: Buffer.byteLength(rest) + (payload ? '}'.length + LENGTHS_BYTES + payload.length : '},'.length),
    unknown: like.refused,
    ...like,
    route,
    reroute: () => route,
  }
}

/** What hears some events of a broker. */
export function eventsWith(heard: Partial<BrokerEvents>): BrokerEvents {
  return {
    messages() {},
    missed() {},
    ready() {},
    streamDeclared() {},
    streamDeleted() {},
    queueDeclared() {},
    queueDeleted() {},
    committed() {},
    ...heard,
  }
}
