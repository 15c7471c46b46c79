import type {
  AckFrame,
  AskFrame,
  AuthFrame,
  BeginFrame,
  CallFrame,
  CancelFrame,
  CheckedFrame,
  CommitFrame,
  ConsumeFrame,
  ExtendFrame,
  HelloFrame,
  NackFrame,
  PauseFrame,
  PingFrame,
  PublishFrame,
  RejectFrame,
  ReplyFrame,
  RespondFrame,
  ResumeFrame,
  ReturnFrame,
  StopFrame,
  SubscribeFrame,
  UnsubscribeFrame,
} from './client-frames.ts'
import type {
  AnswerFrame,
  AuthenticatedFrame,
  CancelledFrame,
  CheckFrame,
  CommittedFrame,
  ConsumingFrame,
  DeliveryFrame,
  ErrorFrame,
  FeedFrame,
  GapFrame,
  LostFrame,
  MessageFrame,
  OnlyFrame,
  PongFrame,
  RecallFrame,
  ReceiptFrame,
  RequestFrame,
  ResultFrame,
  SettledFrame,
  SubscribedFrame,
  SubscriptionFrame,
  WelcomeFrame,
} from './hub-frames.ts'

export * from './client-frames.ts'
export * from './frame-parts.ts'
export * from './hub-frames.ts'

/**
 * The frames of `fanfare.v1`. PROTOCOL.md is their specification; `client-frames.ts`, `hub-frames.ts` and `parse-frame.ts` are its code.
 * Unknown fields are ignored, so that a later version can add some.
 */
export const SUBPROTOCOL = 'fanfare.v1'

/** Offered in addition, followed by the token, by clients that can send nothing else with their request. */
export const TOKEN_PROTOCOL = 'fanfare.token.'

export type ClientFrame =
  | HelloFrame
  | AuthFrame
  | SubscribeFrame
  | UnsubscribeFrame
  | PauseFrame
  | ResumeFrame
  | PublishFrame
  | CommitFrame
  | ConsumeFrame
  | BeginFrame
  | ReturnFrame
  | StopFrame
  | CancelFrame
  | AckFrame
  | NackFrame
  | RejectFrame
  | ExtendFrame
  | RespondFrame
  | AskFrame
  | ReplyFrame
  | CallFrame
  | PingFrame
  | CheckedFrame

export type HubFrame =
  | WelcomeFrame
  | AuthenticatedFrame
  | SubscribedFrame
  | SubscriptionFrame<'unsubscribed'>
  | SubscriptionFrame<'paused' | 'resumed'>
  | FeedFrame
  | CommittedFrame
  | ConsumingFrame
  | RecallFrame
  | LostFrame
  | CancelledFrame
  | DeliveryFrame
  | SettledFrame
  | RequestFrame
  | AnswerFrame
  | ResultFrame
  | ReceiptFrame
  | MessageFrame
  | OnlyFrame
  | GapFrame
  | ErrorFrame
  | PongFrame
  | CheckFrame

export type Frame = ClientFrame | HubFrame
