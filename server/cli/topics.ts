import { type Command, Option } from 'commander'
import { TOPIC_SORTS, type TopicInfo, type TopicSort } from '../../shared/sys.ts'
import { askHub, asking, type CommandOptions, noteMissing, print } from './ask-hub.ts'
import { integer } from './connection-options.ts'
import { withExamples } from './examples.ts'
import { columns, count, rate } from './table.ts'

interface TopicsOptions extends CommandOptions {
  readonly filter?: string
  readonly sort?: TopicSort
  readonly limit: number
}

export function topicsCommand(): Command {
  const command = asking('topics', 'list the topics that messages were published to, busiest first')
    .option('--filter <text>', 'only topics whose name contains this text')
    .addOption(new Option('--sort <field>', 'order of the list').choices(TOPIC_SORTS).default('publishedPerSecond'))
    .option('--limit <n>', 'maximum number of topics to list, up to 1000', integer('--limit', 1, 1000), 50)
    .action(({ filter, sort, limit, ...options }: TopicsOptions) =>
      askHub(options, async ({ admin: { topics } }) => {
        const found = await topics.find({ filter, sort, limit })
        print(found.topics, options, (listed) => table(listed, found.matching))
        noteMissing(found)
      }),
    )
  return withExamples(command, ['fanfare topics'], ['fanfare topics --filter photos --sort name'])
}

function table(topics: readonly TopicInfo[], matching: number): string {
  const rows = topics.map((each) => [each.topic, rate(each.publishedPerSecond), count(each.publishedTotal)])
  const more = matching - topics.length
  return columns([['topic', 'published', 'total'], ...rows]) + (more > 0 ? `${count(more)} more: see --limit\n` : '')
}
