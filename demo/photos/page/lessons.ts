/** The lessons in order, one idea each, with the field's own terms. */
export const LESSONS = [
  { id: 'drop', title: 'Drop photos', idea: 'Publish a message to a topic' },
  { id: 'services', title: 'What each service is doing', idea: 'Publish/subscribe, queues, streams' },
  { id: 'notifications', title: 'Notifications', idea: 'Fan-out, at most once' },
  { id: 'gallery', title: 'Everyone’s photos', idea: 'Stream, offset, replay' },
  { id: 'spike', title: 'A spike of uploads', idea: 'Work queue, competing consumers' },
  { id: 'kill', title: 'Kill a worker mid-photo', idea: 'Ack, redelivery, at least once' },
  { id: 'dead-letters', title: 'A photo that breaks every worker', idea: 'Retry, backoff, dead letters' },
  { id: 'network', title: 'Cut the network', idea: 'Resume at an offset' },
  { id: 'policies', title: 'Slow subscribers', idea: 'Backpressure' },
  { id: 'moderation', title: 'A service that comes later', idea: 'Late subscriber, cursor' },
  { id: 'analytics', title: 'Analytics that forget', idea: 'Rebuild state by replay' },
] as const

export type LessonId = (typeof LESSONS)[number]['id']
