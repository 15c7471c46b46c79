/** `fanfare/protocol`: what both ends agree on, for those who write a client or a test of their own. */
export * from './codec.ts'
export * from './errors.ts'
export * from './frames.ts'
export { passesFilter } from './header-filter.ts'
export { parseFrame } from './parse-frame.ts'
export * from './queues.ts'
export type * from './streams.ts'
export { MAX_TOPIC_LENGTH, MAX_TOPIC_WORDS, matchesPattern, parsePattern, parseTopic } from './topic.ts'
