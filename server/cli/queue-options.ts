import { type Command, Option } from 'commander'
import type { QueueDeclaration } from '../../shared/declarations.ts'
import { asking, type CommandOptions } from './ask-hub.ts'
import { collectHeader, integer } from './connection-options.ts'
import { UsageError } from './usage.ts'

/** What the options of a queue are on the command line. */
export interface QueueFlags extends CommandOptions, Omit<Partial<QueueDeclaration>, 'name' | 'bindings' | 'backoff'> {
  readonly header?: Record<string, string>
  readonly any?: true
  readonly backoffBase?: string
  readonly backoffCap?: string
}

/** A command that takes a queue, its topics and its options. */
export function withQueueOptions(name: string, text: string): Command {
  const oneOf = (flags: string, text: string, choices: readonly string[]) => new Option(flags, text).choices(choices)
  return asking(name, text)
    .argument('<name>', 'name of the queue')
    .argument('[topics...]', 'topics or patterns whose messages go to the queue')
    .option('-H, --header <name=value>', 'only messages with this header; can be repeated', collectHeader)
    .option('--any', 'one of the headers is enough (default: all of them)')
    .option('--ack-deadline <duration>', 'how long a consumer has for a message before redelivery (default: 30s)')
    .option(
      '--max-attempts <n>',
      'deliveries before a message is dead-lettered (default: 5)',
      integer('--max-attempts', 1),
    )
    .option('--backoff-base <duration>', 'wait before the second attempt; doubles with each (default: 1s)')
    .option('--backoff-cap <duration>', 'maximum wait between attempts (default: 60s)')
    .option('--max-messages <n>', 'maximum messages (default: 1 billion)', integer('--max-messages', 1))
    .option('--max-bytes <n>', 'maximum bytes (default: 10 GiB, in a cluster 256 MiB)', integer('--max-bytes', 1))
    .addOption(
      oneOf('--overflow <what>', 'what happens to a publish if the queue is full (default: reject)', [
        'reject',
        'drop-oldest',
        'dead-letter',
        'block',
      ]),
    )
    .addOption(
      oneOf('--on-expiry <what>', 'what happens to an expired message (default: drop)', ['drop', 'dead-letter']),
    )
    .addOption(
      oneOf('--on-dead-letter <what>', 'what happens to a group after a dead letter (default: continue)', [
        'continue',
        'park',
      ]),
    )
    .option(
      '--max-dead-letters <n>',
      'maximum dead letters, then the oldest are dropped (default: 10000)',
      integer('--max-dead-letters', 1),
    )
}

/** What the command line says of a queue. Bindings are absent if no topics are given. */
export function queueOptionsOf(
  topics: readonly string[],
  { url, token, timeout, json, header, any, backoffBase: base, backoffCap: cap, ...rest }: QueueFlags,
): Omit<Partial<QueueDeclaration>, 'name'> {
  if (topics.length === 0 && (header || any))
    throw new UsageError('--header and --any are about topics: name the topics too.')
  const match = header && (any ? { any: header } : { all: header })
  const backoff = { ...(base !== undefined && { base }), ...(cap !== undefined && { cap }) }
  return {
    ...rest,
    ...(topics.length > 0 && { bindings: topics.map((topic) => ({ topic, ...(match && { match }) })) }),
    ...(Object.keys(backoff).length > 0 && { backoff }),
  }
}
