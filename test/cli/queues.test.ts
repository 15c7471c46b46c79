import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { type Client, connect } from '../../client/node.ts'
import { letterTable, queueDetails, queueTable } from '../../server/cli/queue-table.ts'
import type { DeadLetter, QueueInfo } from '../../shared/queues.ts'
import { fanfare, hubHere, type RunningCommand } from '../setup/command.ts'

let client: Client
let env: { FANFARE_URL: string }
beforeEach(async () => {
  const { url } = await hubHere()
  env = { FANFARE_URL: url }
  client = connect(url)
  onTestFinished(async () => void (await client.close({ timeout: 100 })))
})

/** Runs a command to its end, which has to be good. */
async function run(...args: string[]): Promise<RunningCommand> {
  const command = fanfare(args, env)
  expect(await command.exit, command.stderr).toBe(0)
  return command
}

/** Makes the letters 0 and 1 of a queue, with these words as data, error and key. */
async function bury(queue: string, ...words: string[]): Promise<void> {
  for (const word of words) await client.enqueue(queue, word, { key: word })
  let left = words.length
  for await (const delivery of client.consume<string>(queue)) {
    await delivery.reject(`no ${delivery.data}`)
    if (--left === 0) break
  }
}

describe('fanfare queues', () => {
  it('declares, lists, shows, purges and deletes, for people and for programs', async () => {
    const options = ['--header', 'kind=jpeg', '--ack-deadline', '1m', '--max-attempts', '3', '--backoff-base', '2s']
    const declared = await run('queues', 'declare', 'thumbnails', 'photos.#', 'scans', ...options)
    expect(declared.stdout).toMatch(/^binding +photos\.# where kind=jpeg$/m)
    expect(declared.stdout).toMatch(/^ack deadline +1m$/m)
    expect(declared.stdout).toMatch(/^attempts +3, with 2s to 1m between them$/m)
    await client.publish('photos.new', 1, { headers: { kind: 'png' } })
    await client.publish('photos.new', 2, { headers: { kind: 'jpeg' } })
    await client.publish('photos.new', 3, { headers: { kind: 'jpeg' }, delay: 60_000 })

    const table = (await run('queues')).stdout.split('\n')
    expect(table[0]).toMatch(/^name +bindings +waiting +in flight +oldest +in +out +consumers +dead letters +warnings$/)
    expect(table[1]).toMatch(
      /^thumbnails +photos\.# scans +2, 1 ready +0 +\S+.* ago +\S+\/s +0\/s +0.* +0 +has no consumer: 1 message is ready, .*$/,
    )
    expect((await run('queues', 'show', 'thumbnails')).stdout).toMatch(/^in +\S+, 2 since the hub started$/m)
    const [listed] = (await run('queues', 'list', '--json')).lines as QueueInfo[]
    expect(listed).toMatchObject({ name: 'thumbnails', ackDeadlineMs: 60_000, backoffBaseMs: 2000, depth: 2 })

    const purged = await run('queues', 'purge', 'thumbnails', '--yes')
    expect(purged.stdout).toBe('Deleted 2 messages from queue "thumbnails".\n')
    expect((await run('queues', 'purge', 'thumbnails', '-y', '--json')).lines).toEqual([{ count: 0 }])
    await client.enqueue('thumbnails', 1)
    expect((await run('queues', 'delete', 'thumbnails', '--yes')).stdout).toBe(
      'Deleted queue "thumbnails" with 1 message and 0 dead letters.\n',
    )
    expect((await run('queues', '--json')).stdout).toBe('')
  })

  it('lists, redrives and purges dead letters by any filter, and unparks groups', async () => {
    const letters = (...args: string[]) => run('queues', 'dead-letters', ...args)
    const numbers = async (...filter: string[]) =>
      ((await letters('list', 'orders', '--json', ...filter)).lines as DeadLetter[]).map(({ letter }) => letter)
    await client.admin.queues.declare({ name: 'orders', onDeadLetter: 'park' })
    await client.admin.queues.declare({ name: 'later' })
    await bury('orders', 'soup', 'cake', 'fish')
    expect((await letters('list', 'orders')).stdout.split('\n')[2]).toMatch(
      /^1 +\S+.* ago +rejected +1 +\$queue\.orders +cake +"cake" +no cake$/,
    )
    expect(await numbers('--limit', '2')).toEqual([0, 1])
    expect(await numbers('--key', 'cake', '--reason', 'rejected', '--topic', '$queue.*')).toEqual([1])
    expect(await numbers('--error', 'no fish')).toEqual([2])
    expect(await numbers('--letter', '0', '--letter', '2')).toEqual([0, 2])
    expect((await run('queues', 'show', 'orders')).stdout).toMatch(
      /^parked +cake\n[\s\S]*^warning +has 3 parked groups: they wait until an operator resumes them$/m,
    )
    expect((await run('queues', 'unpark', 'orders', 'cake')).stdout).toBe('Resumed group "cake" of queue "orders".\n')

    const moved = await letters(
      'redrive',
      'orders',
      '--letter',
      '0',
      '--letter',
      '2',
      '--to',
      'later',
      '--per-second',
      '9',
    )
    expect(moved.stdout).toBe('Moved 2 messages to queue "later".\n')
    expect((await letters('purge', 'orders', '--key', 'cake', '--yes')).stdout).toBe(
      'Deleted 1 dead letter of queue "orders".\n',
    )
    expect(await client.admin.queues.show('orders')).toMatchObject({ deadLetters: 0, parked: ['soup', 'fish'] })
    expect(await client.admin.queues.show('later')).toMatchObject({ depth: 2 })
  })

  it('updates the options that are given, and says what has changed', async () => {
    await run('queues', 'declare', 'mails', 'mails.#', '--max-attempts', '3', '--backoff-base', '2s')
    await client.enqueue('mails', 1)
    const updated = await run('queues', 'update', 'mails', '--max-attempts', '7', '--backoff-cap', '10m')
    expect(updated.stdout).toBe('Updated queue "mails": max attempts 3 → 7, backoff cap 1m → 10m.\n')
    const [info] = (await run('queues', 'update', 'mails', 'letters.*', '--json')).lines as QueueInfo[]
    const same = { maxAttempts: 7, backoffBaseMs: 2000, backoffCapMs: 600_000, depth: 1 }
    expect(info).toMatchObject({ name: 'mails', bindings: [{ topic: 'letters.*' }], ...same })
    expect((await run('queues', 'update', 'mails', '--max-attempts', '7')).stdout).toBe(
      'Nothing to change: queue "mails" has these options.\n',
    )
    await client.publish('letters.new', 2)
    expect(await client.admin.queues.show('mails')).toMatchObject({ depth: 2, maxAttempts: 7 })
    for (const [args, words] of [
      [['mails'], 'Say what to change'],
      [['mails', '--any'], 'name the topics too'],
    ] as const) {
      const command = fanfare(['queues', 'update', ...args], env)
      expect(await command.exit).toBe(2)
      expect(command.stderr).toContain(words)
    }
  })

  it.each([
    [['update', 'order', '--max-attempts', '3'], 'no_queue: There is no queue "order". Did you mean "orders"?'],
    [['show', 'nothing'], 'no_queue: There is no queue "nothing"'],
    [['unpark', 'orders', 'k'], 'no_parked_group: No parked group has the key "k"'],
    [['declare', 'orders', 'orders.*'], 'queue_exists: Queue "orders" already exists'],
    [['declare', 'others', 'a..b'], 'bad_params: bindings.0.topic: '],
    [['declare', 'others', '--ack-deadline', 'long'], 'bad_params: ackDeadline must be '],
    [['--url', 'ws://127.0.0.1:1'], 'hub_unreachable: Not connected to ws://127.0.0.1:1. '],
  ])('%j is refused with %s', async (args, words) => {
    await client.admin.queues.declare({ name: 'orders' })
    const command = fanfare(['queues', ...args], env)
    expect(await command.exit).toBe(1)
    expect(command.stderr).toContain(`fanfare: ${words}`)
    expect(command.stdout).toBe('')
  })
})

describe('what people read', () => {
  it('calls out a queue that only grows, and parked groups', async () => {
    await client.admin.queues.declare({ name: 'quiet' })
    const quiet = await client.admin.queues.show('quiet')
    const counts = { depth: 1234, ready: 1234, consumers: 1, wantedConsumers: 4, keepUpConsumers: 4 }
    const busy = { ...quiet, ...counts, name: 'busy', growing: true, parked: ['k'] }
    const [, first, second] = queueTable([quiet, busy]).split('\n')
    expect(first).toMatch(/^quiet .* 0$/)
    expect(second).toMatch(
      /^busy +1,234 .* 1, 4 wanted +0 +keeps growing: 1,234 ready, .*needs 4 to keep up; has 1 parked group: it/,
    )
    expect(queueDetails(busy)).toMatch(/^warning +keeps growing: .*\nwarning +has 1 parked group: it waits/m)
  })

  it('has the same warnings of a queue as the hub', async () => {
    await client.admin.queues.declare({ name: 'jobs' })
    await bury('jobs', 'a')
    await client.enqueue('jobs', 'b')
    const { entries } = await client.admin.hub.attention()
    const warnings = entries.flatMap(({ troubles }) =>
      troubles.map(({ text }) => text.replace(/(, (the )?oldest for .*)?\.$/, '')),
    )
    expect(warnings).toHaveLength(2)
    const table = (await run('queues')).stdout
    for (const warning of warnings) expect(table).toContain(warning)
  })

  it('shows the beginning of what is long, and that bytes are bytes', () => {
    const letter: DeadLetter = {
      letter: 7,
      message: { id: 'a', topic: 't', base64: 'AAEC' },
      reason: 'attempts',
      error: `Error: ${'x'.repeat(100)}\n    at handler`,
      attempts: 5,
      publishedAt: 0,
      diedAt: 0,
      origin: 'q',
    }
    expect(letterTable([letter], 60_000)).toMatch(/^7 +1m ago +attempts +5 +t +bytes AAEC +Error: x{42}…$/m)
  })
})

describe('fanfare pub to queues', () => {
  it('--queue goes straight there, with priority and delay; so does standard input', async () => {
    await client.admin.queues.declare({ name: 'orders', bindings: [{ topic: 'orders.*' }] })
    await run('pub', '--queue', 'orders', '"low"', '--priority', '1')
    await run('pub', 'orders.new', '"high"', '--priority', '8')
    await run('pub', '--queue', 'orders', '"late"', '--delay', '600000')
    const lines = fanfare(['pub', '--queue', 'orders'], env)
    lines.process.stdin.end('one\n')
    expect(await lines.exit, lines.stderr).toBe(0)
    const got: string[] = []
    for await (const delivery of client.consume<string>('orders')) {
      got.push(delivery.data)
      await delivery.ack()
      if (got.length === 3) break
    }
    expect(got).toEqual(['high', 'one', 'low'])
    expect(await client.admin.queues.show('orders')).toMatchObject({ depth: 1, delayed: 1 })
  })

  it.each([[['b', '--queue', 'nothing'], 'no_queue: There is no queue "nothing"']])(
    '%j is refused with %s',
    async (args, words) => {
      const command = fanfare(['pub', ...args], env)
      expect(await command.exit).toBe(1)
      expect(command.stderr).toContain(`fanfare: ${words}`)
    },
  )
})

describe('fanfare request', () => {
  it('prints the reply', async () => {
    await client.respond<{ n: number }>('double', ({ data, headers }) => ({ n: 2 * data.n, ...headers })).ready
    await client.respond('bytes', () => new Uint8Array([0, 1, 2])).ready
    await client.respond('nothing', () => undefined).ready
    expect((await run('request', 'double', '{"n":4}', '--header', 'a=b')).lines).toEqual([{ n: 8, a: 'b' }])
    expect((await run('request', 'bytes')).lines).toEqual([{ base64: 'AAEC' }])
    expect((await run('request', 'nothing')).lines).toEqual([null])
  })

  it.each([
    [['nobody'], 'no_responder: '],
    [['fails'], 'responder_failed: '],
    [['never', '--reply-timeout', '50'], 'request_timeout: '],
  ])('%j ends with %s', async (args, words) => {
    client.respond('fails', () => Promise.reject(new Error('no')))
    await client.respond('never', () => new Promise(() => {})).ready
    const command = fanfare(['request', ...args], env)
    expect(await command.exit).toBe(1)
    expect(command.stderr).toContain(`fanfare: ${words}`)
    expect(command.stdout).toBe('')
  })
})

it('the help of every command says what it is for', async () => {
  const help = (await run('--help')).stdout
  expect(help).toContain('Live topics, replayable streams and work queues')
  for (const command of ['serve', 'pub', 'sub', 'request', 'streams', 'queues', 'work', 'bench']) {
    expect(help).toMatch(new RegExp(`^ {2}${command}( .*)? {2,}\\S`, 'm'))
  }
  expect((await run('pub', '--help')).stdout).toMatch(/<topic> \[data\]\n.*--queue <name> \[data\]$/m)
})
