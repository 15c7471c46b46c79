import type { Redis } from 'ioredis'
import { FanfareError } from '../../../shared/errors.ts'

/**
 * What the list of hubs needs; streams and queues need it for their own keys as well. A script that checks may itself be run, so that whether it may get a key
 * tells whether the key is permitted.
 */
const LIST_COMMANDS = ['evalsha', 'exists', 'hdel', 'hgetall', 'hset']
/** What else streams and queues need. */
const DATA_COMMANDS = [
  ...['hexists', 'hget', 'hincrby', 'hlen', 'hmget', 'hscan', 'hsetnx'],
  ...['lindex', 'lpop', 'lpush', 'lrange', 'rpush', 'persist', 'pexpire', 'unlink'],
  ...['sadd', 'scard', 'sismember', 'smembers', 'smismember', 'srandmember', 'srem'],
  ...['xadd', 'xdel', 'xlen', 'xrange', 'xtrim'],
  ...['zadd', 'zcard', 'zcount', 'zincrby', 'zpopmin', 'zrange', 'zrangebylex', 'zrangebyscore', 'zrem', 'zscore'],
]
const CHANNEL_COMMANDS = ['publish', 'subscribe']
const OTHER_COMMANDS = ['ping', 'info', 'time', 'pubsub|numsub', 'script|load', 'evalsha']
/** For `clusterReplicas`: hubs write something that replicas are waited for with. */
const REPLICA_COMMANDS = { kept: ['set'], other: ['wait'] }

/**
 * Asks Redis about each of the commands: no user needs a permission for that. Gives the places of those that are refused. It writes nothing, so a Redis that
 * refuses writes answers as well.
 */
const CHECK = `#!lua flags=no-writes,allow-oom
local refused = {}
if not redis.acl_check_cmd then return refused end
for at, words in ipairs(cjson.decode(ARGV[1])) do
  local isKnown, isPermitted = pcall(redis.acl_check_cmd, unpack(words))
  if not isKnown or not isPermitted then refused[#refused + 1] = at - 1 end
end
return refused`

/** What Redis answers to a command that the user may not use, or not there; a script has words of its own for it. */
const NOT_PERMITTED = /\bNOPERM\b|The user executing the script can't/

export function isNotPermitted(error: unknown): boolean {
  return NOT_PERMITTED.test(String(error))
}

/** A command on a key or channel of a pattern. */
interface Need {
  readonly command: string
  readonly pattern: string | undefined
}

/** What a hub has to be permitted by its Redis. */
export class Permissions {
  private readonly user: string
  private readonly needs: readonly Need[]

  /** `waits`: for replicas. `db`: the number of the database, if any is chosen. */
  constructor(prefix: string, { username = 'default', db }: { username?: string; db?: number }, waits: boolean) {
    this.user = username
    const [live, kept] = [`${prefix}:*`, `{${prefix}}:*`]
    const on = (sign: string, places: readonly string[], commands: readonly string[]): Need[] =>
      places.flatMap((place) => commands.map((command) => ({ command, pattern: sign + place })))
    this.needs = [
      ...on('~', [live, kept], LIST_COMMANDS),
      ...on('~', [kept], DATA_COMMANDS),
      ...on('&', [live, kept], CHANNEL_COMMANDS),
      ...(waits ? on('~', [kept], REPLICA_COMMANDS.kept) : []),
      ...[...OTHER_COMMANDS, ...(waits ? REPLICA_COMMANDS.other : []), ...(db ? ['select'] : [])].map((command) => ({
        command,
        pattern: undefined,
      })),
    ]
  }

  /** Throws `bad_config` if something is missing. */
  async check(redis: Redis): Promise<void> {
    const words = this.needs.map(({ command, pattern }) => [
      ...command.split('|'),
      ...(pattern === undefined || command === 'evalsha' ? ARGUMENTS[pattern === undefined ? 'without' : 'with'] : []),
      ...(pattern === undefined ? [] : [`${pattern.slice(1, -1)}none`]),
    ])
    const refused = new Set((await this.refused(redis, JSON.stringify(words))).map((at) => this.needs[at]))
    const missing = this.needs.filter((need) => refused.has(need))
    if (missing.length > 0) throw this.lacks(namesOf(missingOf(this.needs, missing)).join(', '), missing)
  }

  /** What Redis has refused: its own words name the command. */
  refusal(text: string): FanfareError {
    return this.lacks(text.replace(/[.\s]+$/, ''), this.needs)
  }

  private lacks(what: string, missing: readonly Need[]): FanfareError {
    const { patterns, unsure, commands, hidden } = missingOf(this.needs, missing)
    const rule = [...patterns, ...[...commands, ...hidden].map((command) => `+${command}`)].join(' ')
    const doubt =
      unsure.length === 0 ? '' : `If the user has ${namesOfAll(unsure)} already, leave out ${unsure.join(' ')}. `
    return new FanfareError(
      'bad_config',
      `Redis does not permit its user "${this.user}" what a hub needs: ${what}. ${doubt}Permit it in Redis: ACL SETUSER ${this.user} ${rule}`,
    )
  }

  private async refused(redis: Redis, words: string): Promise<number[]> {
    try {
      const sha = String(await redis.script('LOAD', CHECK))
      return (await redis.evalsha(sha, 0, words)) as number[]
    } catch (error) {
      // Without scripts nothing tells what else is missing.
      if (isNotPermitted(error)) throw this.refusal(String(error).replace(/^\w*Error: /, ''))
      throw error
    }
  }
}

/** What commands without a key get at least, and a script before its key: a name, and how many keys follow. */
const ARGUMENTS = { without: ['1', '0'], with: ['1', '1'] }

interface Missing {
  readonly patterns: readonly string[]
  /** Those of `patterns` that may be permitted: no command tells, because none is permitted. Redis refuses a rule that adds a pattern to all keys or channels. */
  readonly unsure: readonly string[]
  readonly commands: readonly string[]
  /** Commands that are refused on keys or channels that the user may not use anyway: whether they are permitted shows once those are. */
  readonly hidden: readonly string[]
}

function missingOf(needs: readonly Need[], refused: readonly Need[]): Missing {
  const isRefused = new Set(refused)
  const permitted = new Set(needs.filter((need) => !isRefused.has(need)).map(({ command }) => command))
  // A command that is permitted elsewhere lacks the pattern. So does everything if nothing of the kind is permitted.
  const patterns = new Set<string>()
  const unsure = new Set<string>()
  for (const { command, pattern } of refused) {
    const isNonePermitted = needs.every((need) => need.pattern?.[0] !== pattern?.[0] || isRefused.has(need))
    if (pattern === undefined) continue
    if (permitted.has(command) || isNonePermitted) patterns.add(pattern)
    if (isNonePermitted) unsure.add(pattern)
  }
  const rest = refused.filter(({ command }) => !permitted.has(command))
  const isHidden = ({ pattern }: Need) => pattern !== undefined && patterns.has(pattern)
  const commands = new Set(rest.filter((need) => !isHidden(need)).map(({ command }) => command))
  const hidden = new Set(rest.filter((need) => !commands.has(need.command)).map(({ command }) => command))
  return { patterns: [...patterns], unsure: [...unsure], commands: [...commands], hidden: [...hidden] }
}

/** The flags of Redis that permit everything of the kinds of some patterns. */
function namesOfAll(patterns: readonly string[]): string {
  const kinds = { '~': 'allkeys', '&': 'allchannels' }
  return Object.entries(kinds)
    .filter(([sign]) => patterns.some((pattern) => pattern.startsWith(sign)))
    .map(([, flag]) => flag)
    .join(' or ')
}

function namesOf({ patterns, commands }: Pick<Missing, 'patterns' | 'commands'>): string[] {
  const places = patterns.map((pattern) => `${pattern.startsWith('~') ? 'keys' : 'channels'} ${pattern.slice(1)}`)
  return [...places, ...commands.map((command) => command.replace('|', ' ').toUpperCase())]
}
