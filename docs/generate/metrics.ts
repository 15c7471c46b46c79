import { createHub } from '../../server/index.ts'

interface Family {
  readonly name: string
  readonly help: string
  type: string
  readonly values: Map<string, Set<string>>
}

/** Labels whose values the page lists: there is a fixed set of them. */
const LISTED = ['reason', 'limit', 'where', 'cause', 'extent']

/** The text of docs/reference/metrics.md, from what a hub with one stream and one queue serves at `/metrics`. */
export async function metricsPage(): Promise<string> {
  const hub = await createHub({
    auth: { anonymous: 'allow' },
    streams: [{ name: 's', topics: ['s'] }],
    queues: [{ name: 'q' }],
  })
  await hub.start()
  const response = await hub.fetch(new Request('http://127.0.0.1/metrics'))
  const text = await response.text()
  await hub.close()
  if (!response.ok) throw new Error(text)
  const families = familiesIn(text)
  return `# Metrics

\`GET /metrics\` serves these in the text format of Prometheus. What to alert on: [monitoring](../operations/monitoring.md).

Counters start at 0 when the hub starts, unless the table says otherwise. The first 1000 queues and the first 1000 streams have series of their own.
\`code\` is an [error code](error-codes.md). A histogram has the series \`_bucket\`, \`_sum\` and \`_count\`.

| metric | type | labels | |
| --- | --- | --- | --- |
${families.map(row).join('\n')}

## Values of labels

${families.flatMap(listedValues).join('\n')}
`
}

function familiesIn(text: string): Family[] {
  const families: Family[] = []
  for (const line of text.split('\n')) {
    const [, about, name = '', words = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? []
    const family = families.at(-1)
    if (about === 'HELP') families.push({ name, help: words, type: '', values: new Map() })
    else if (about === 'TYPE' && family) family.type = words
    else if (family) addLabels(family, line)
  }
  return families
}

function addLabels({ values }: Family, line: string): void {
  for (const [, label = '', value = ''] of line.matchAll(/[{,](\w+)="([^"]*)"/g)) {
    if (label !== 'le') values.set(label, (values.get(label) ?? new Set()).add(value))
  }
}

function row({ name, help, type, values }: Family): string {
  const labels = Array.from(values.keys(), (label) => `\`${label}\``).join(', ')
  return `| \`${name}\` | ${type} | ${labels} | ${help} |`
}

function listedValues({ name, values }: Family): string[] {
  return Array.from(values)
    .filter(([label]) => LISTED.includes(label))
    .map(([label, of]) => `- \`${name}\`, \`${label}\`: ${Array.from(of, (value) => `\`${value}\``).join(', ')}`)
}
