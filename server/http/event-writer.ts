import { Buffer } from 'node:buffer'
import type { Frame, GapFrame, HubFrame, MessageFrame, SubscribedFrame, SubscribeFrame } from '../../shared/frames.ts'
import type { JsonMessage } from '../../shared/json-message.ts'
import { encodable } from '../../shared/nesting.ts'
import { encodeJson } from '../../shared/raw-json.ts'
import { type LastCount, lastText } from '../../shared/streams.ts'
import { matchesPattern } from '../../shared/topic.ts'

/** A subscription of an event stream. Its number is its place in the list. */
interface EventSubscription {
  readonly pattern: string
  readonly words: readonly string[]
  /** Messages that name no subscription are for this one too. */
  joined: boolean
  stream: string | undefined
  epoch: string | undefined
  /** Offset of the next wanted message; undefined if none has arrived yet. */
  offset: number | undefined
  /** The subscription is still within the last messages of each topic, which a position does not express. */
  last: LastCount | undefined
}

/** Stands for a subscription without a position in an id. */
export const NOT_BEGUN = '-'

/**
 * Converts the frames of a connection to an event stream. Several subscriptions share it: a topic belongs to the first pattern that
 * matches it, so that each message comes once. An id consists of the position of each subscription, in order.
 */
export class EventWriter {
  private readonly places: readonly EventSubscription[]

  constructor(subscriptions: readonly SubscribeFrame[]) {
    this.places = subscriptions.map(({ pattern, from }) => ({
      pattern,
      last: typeof from === 'object' && 'last' in from ? from : undefined,
      words: pattern.split('.'),
      joined: false,
      stream: undefined,
      epoch: undefined,
      offset: undefined,
    }))
  }

  /** The events of one WebSocket message. */
  events(frames: readonly HubFrame[]): string {
    const only = frames[0]?.type === 'only' ? this.places[frames[0].sub] : undefined
    let text = ''
    for (const frame of frames) {
      if (frame.type === 'message') text += this.message(frame, only)
      else if (frame.type === 'gap') text += this.gap(frame)
      else this.note(frame)
    }
    return text
  }

  /** A line with the positions; empty if no stream feeds any subscription. */
  get id(): string {
    if (this.places.every(({ stream }) => stream === undefined)) return ''
    return `id: ${this.places.map(positionText).join(',')}\n`
  }

  private note(frame: Frame): void {
    const place = 'sub' in frame && typeof frame.sub === 'number' ? this.places[frame.sub] : undefined
    if (!place) return
    if (frame.type === 'subscribed') {
      place.joined = frame.stream === undefined
      place.stream = frame.stream
      place.epoch = frame.epoch
      if (place.last) begin(place, place.last, frame)
      else place.offset = frame.offset
    } else if (frame.type === 'live' || frame.type === 'behind') {
      place.joined = frame.type === 'live'
      reach(place, frame.offset)
    }
  }

  private message(frame: MessageFrame, only: EventSubscription | undefined): string {
    const owner = this.ownerOf(frame.topic)
    for (const place of only ? [only] : this.places) {
      const offset = place.stream === undefined ? undefined : frame.offsets?.[place.stream]
      if (offset !== undefined && (only || place.joined)) reach(place, offset + 1)
    }
    if (only ? owner !== only : !owner?.joined) return ''
    return `${this.id}data: ${jsonText(frame)}\n\n`
  }

  private ownerOf(topic: string): EventSubscription | undefined {
    if (this.places.length === 1) return this.places[0]
    const words = topic.split('.')
    return this.places.find((place) => matchesPattern(place.words, words))
  }

  private gap({ type: _, sub, ...gap }: GapFrame): string {
    const place = this.places[sub]
    if (!place) return ''
    if (gap.offsets) reach(place, Math.max(place.offset ?? 0, gap.offsets.to + 1))
    return `event: gap\n${this.id}data: ${JSON.stringify({ pattern: place.pattern, ...gap })}\n\n`
  }
}

/** The last messages of each topic come first. When resuming among them, those that were already delivered are skipped. */
function begin(place: EventSubscription, last: LastCount, { epoch, offset }: SubscribedFrame): void {
  place.last = { last: last.last, before: offset }
  place.offset = last.epoch === epoch ? last.offset : undefined
}

function reach(place: EventSubscription, offset: number): void {
  place.offset = offset
  // Everything after that is wanted.
  if (offset > (place.last?.before ?? 0)) place.last = undefined
}

function positionText({ stream, epoch = '', offset, last }: EventSubscription): string {
  if (last && stream !== undefined) return lastText(epoch, { ...last, offset })
  return offset === undefined ? NOT_BEGUN : `${epoch}:${offset}`
}

/** Messages are shared by all readers, so each is written only once. */
const texts = new WeakMap<MessageFrame, string>()

function jsonText(frame: MessageFrame): string {
  const known = texts.get(frame)
  if (known !== undefined) return known
  const { type: _, data, ...rest } = frame
  const message: JsonMessage =
    data instanceof Uint8Array
      ? { ...rest, base64: Buffer.from(data).toString('base64') }
      : { ...rest, ...encodable(data) }
  // Line breaks between JSON tokens would end a line of an event. EventSource restores one per line.
  const text = encodeJson(message).replace(/\r\n?|\n/g, '\ndata: ')
  texts.set(frame, text)
  return text
}
