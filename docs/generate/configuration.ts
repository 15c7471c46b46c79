import { readFileSync } from 'node:fs'
import ts from 'typescript'
import { DEFAULTS } from '../../server/defaults.ts'

const SOURCE = new URL('../../server/config.ts', import.meta.url)

/** Options that have flags of their own, and those that no flag can give. */
const FLAGS: Readonly<Record<string, string>> = {
  streams: '',
  queues: '',
  topics: '',
  auth: '`--anonymous`, `--jwt-secret-file`, `--jwks-url`',
  allowedOrigins: '`--allowed-origins`',
  trustedProxies: '`--trusted-proxies`',
  tls: '`--tls-cert-file`, `--tls-key-file`',
}

/** The text of docs/reference/configuration.md: every option with its type and default, as `HubOptions` documents it. */
export function configurationPage(): string {
  const file = ts.createSourceFile('config.ts', readFileSync(SOURCE, 'utf8'), ts.ScriptTarget.Latest, true)
  const options = file.statements.find(
    (statement): statement is ts.InterfaceDeclaration =>
      ts.isInterfaceDeclaration(statement) && statement.name.text === 'HubOptions',
  )
  if (!options) throw new Error('server/config.ts has no HubOptions')
  return `# Configuration

Every option of a hub: of \`startHub\`, of the file that \`fanfare serve --config fanfare.json\` reads, and of its flags and environment variables. Flags take precedence over
variables, and variables over the file. An option with an unknown name or a wrong value stops the start with \`bad_config\`, which names it.

Sizes are bytes; in flags, variables and the file also \`64kB\`, \`1MiB\`, \`2GB\`. Durations are text such as \`'250ms'\`, \`'30s'\`, \`'5m'\`, \`'2h'\`, \`'7d'\`, or milliseconds.

\`\`\`json
{
  "data": "/var/lib/fanfare",
  "drainTimeout": "20s",
  "streams": [{ "name": "orders", "topics": ["orders.#"], "maxAge": "7d" }],
  "queues": [{ "name": "mails", "maxAttempts": 5 }]
}
\`\`\`

${options.members.map((member) => section(member as ts.PropertySignature)).join('\n\n')}
`
}

function section(member: ts.PropertySignature): string {
  const name = member.name.getText()
  const type = (member.type?.getText() ?? '').replace(/ \| undefined$/, '').replace(/^readonly /, '')
  const facts = [`\`${type}\``, ...defaultOf(name), ...flagsOf(name)]
  return `### ${name}\n\n${facts.join(' · ')}\n\n${textOf(member)}`
}

function defaultOf(name: string): string[] {
  if (!(name in DEFAULTS)) return []
  // It depends on the machine.
  if (name === 'subscriptionBytes') return ["default a quarter of Node's heap limit"]
  const value = DEFAULTS[name as keyof typeof DEFAULTS]
  return value === ''
    ? []
    : [
        `default \`${typeof value === 'number' ? (value < 10_000 ? value : value.toLocaleString('en')) : `'${value}'`}\``,
      ]
}

function flagsOf(name: string): string[] {
  const flag = FLAGS[name]
  if (flag !== undefined) return flag === '' ? [] : [flag]
  const words = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
  return [`\`--${words}\``, `\`FANFARE_${words.replaceAll('-', '_').toUpperCase()}\``]
}

/** What TSDoc says, in one paragraph. */
function textOf(member: ts.Node): string {
  const [doc] = ts.getJSDocCommentsAndTags(member)
  const text = doc && ts.isJSDoc(doc) ? (ts.getTextOfJSDocComment(doc.comment) ?? '') : ''
  return text.replace(/\s*\n\s*/g, ' ').trim()
}
