import { z } from 'zod'
import { quoted, sentence, shown } from '../../shared/error-text.ts'
import { didYouMean } from '../../shared/nearest-name.ts'

type Issue = z.core.$ZodIssue

interface Place {
  /** The schema, to name what an unknown name was probably meant to be. */
  readonly schema: z.ZodType
  /** The name of the value as a whole. */
  readonly whole?: string
  /** What has the names of its fields, if not the value itself: a method. */
  readonly owner?: string
  /** Where the value comes from, such as a flag. */
  readonly from?: string | undefined
  /** The value must not be shown. */
  readonly secret?: boolean
}

/** Unknown names of one object that are reported. */
const MOST_UNKNOWN = 3

/** What is wrong with a value that breaks its schema, as a sentence: `port must be an integer from 0 to 65535 (got "x").` */
export function faultOf(
  issue: Issue,
  input: unknown,
  { schema, whole = 'It', owner = whole, from, secret = false }: Place,
): string {
  const path = issue.path.map(String)
  const value = valueAt(path, input)
  const source = from === undefined ? '' : ` from ${from}`
  if (issue.code === 'unrecognized_keys') {
    const known = namesAt(schema, path)
    const sentences = issue.keys.slice(0, MOST_UNKNOWN).map((key) => {
      const name = quoted([...path, key].join('.'))
      return `${owner} has no option ${name}${source && ` (${source.trim()})`}.${didYouMean(key, known)}`
    })
    return sentences.join(' ')
  }
  const name = path.join('.') || whole
  const rule = value === undefined && issue.code === 'invalid_type' ? 'is missing' : ruleOf(issue)
  if (!rule.startsWith('must '))
    return sentence(`${name}${source && ` (${source.trim()})`}${isPredicate(rule) ? '' : ':'} ${rule}`)
  const got = secret ? 'got something else' : `got ${shown(value)}`
  return `${name} ${rule} (${got}${source}).`
}

function isPredicate(rule: string): boolean {
  return /^(is|has|does|cannot|may) /.test(rule)
}

/** The rule that was broken, where possible as what must be. */
function ruleOf(issue: Issue): string {
  const { message } = issue
  switch (issue.code) {
    case 'invalid_type':
      return message.startsWith('Invalid input') ? `must be ${withArticle(issue.expected)}` : message
    case 'invalid_value':
      if (!message.startsWith('Invalid ')) return message
      return `must be ${issue.values.length > 1 ? 'one of ' : ''}${issue.values.map(String).join(', ')}`
    case 'too_small':
      return message.startsWith('Too small') ? `must ${amount('at least', issue.origin, issue.minimum)}` : message
    case 'too_big':
      return message.startsWith('Too big') ? `must ${amount('at most', issue.origin, issue.maximum)}` : message
    case 'invalid_format':
      return message.replace(/^Invalid string: /, '')
    case 'invalid_union':
      return message === 'Invalid input' ? 'has a wrong value' : message
    default:
      return message
  }
}

function amount(bound: string, origin: string, limit: number | bigint): string {
  if (origin === 'string') return `have ${bound} ${limit} character${limit === 1 ? '' : 's'}`
  if (origin === 'array') return `have ${bound} ${limit} element${limit === 1 ? '' : 's'}`
  return `be ${bound} ${limit}`
}

function withArticle(type: string): string {
  if (type === 'int') return 'an integer'
  if (type === 'array') return 'a list'
  return /^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`
}

function valueAt(path: readonly string[], input: unknown): unknown {
  let value = input
  for (const name of path) value = (value as Record<string, unknown> | null | undefined)?.[name]
  return value
}

/** A JSON Schema, as far as names are looked up in it. */
interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly additionalProperties?: SchemaNode | boolean
  readonly items?: SchemaNode
  readonly anyOf?: readonly SchemaNode[]
}

/** The names that an object at a place may have. */
function namesAt(schema: z.ZodType, path: readonly string[]): readonly string[] {
  let nodes: readonly SchemaNode[] = [z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as SchemaNode]
  for (const name of path) nodes = withVariants(nodes).flatMap((node) => childOf(node, name) ?? [])
  return withVariants(nodes).flatMap(({ properties = {} }) => Object.keys(properties))
}

function withVariants(nodes: readonly SchemaNode[]): readonly SchemaNode[] {
  return nodes.flatMap((node) => [node, ...withVariants(node.anyOf ?? [])])
}

function childOf({ properties = {}, additionalProperties, items }: SchemaNode, name: string): SchemaNode | undefined {
  if (Object.hasOwn(properties, name)) return properties[name]
  return items ?? (typeof additionalProperties === 'object' ? additionalProperties : undefined)
}
