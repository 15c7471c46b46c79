import { describe, expect, it } from 'vitest'
import { connect } from '../../client/node.ts'
import { everyCommand, fanfareProgram } from '../../server/cli/program.ts'
import { readable } from '../../server/cli/text-log.ts'
import { pathOf } from '../../server/cli/wrong-subcommand.ts'
import { fanfare, hubHere, shell } from '../setup/command.ts'

/** Runs a command at a terminal, as a person does. */
function atTerminal(line: string, env: Record<string, string>) {
  return shell(`script -qec ${JSON.stringify(`node dist/server/main.js ${line}`)} /dev/null`, env)
}

describe('a wrong command line', () => {
  it.each([
    [
      ['queues', 'updat', 'mails'],
      'fanfare: "fanfare queues updat" is not a command. Did you mean "fanfare queues update"?',
    ],
    [['queue'], 'fanfare: "fanfare queue" is not a command. Did you mean "fanfare queues"?'],
    [['queues', 'dead-letters', 'retry'], '"fanfare queues dead-letters retry" is not a command.'],
    [['publish', 'a', '1'], '"fanfare publish" is not a command. Use "fanfare pub".'],
    [['frobnicate'], '"fanfare frobnicate" is not a command. The commands of "fanfare" are: serve,'],
    [
      ['serve', '--prot', '1'],
      'fanfare: unknown option \'--prot\'. (Did you mean --port?) See "fanfare serve --help".',
    ],
    [['sub', 'a', 'b'], 'See "fanfare sub --help".'],
    [['pub'], 'fanfare: Name a topic, or a queue with --queue <name>.'],
    [['pub', '--queue', 'q', 'a', '1'], 'Name either a topic or a queue (--queue), not both.'],
    [['pub', 'a', '{"b":'], 'The data is not valid JSON: '],
    [['pub', 'a', '1', '--header', 'kind'], 'fanfare: --header must be name=value (got "kind").'],
    [['pub', 'a', '1', '--url', 'http://127.0.0.1'], '--url must begin with ws:// or wss:// (got "http://127.0.0.1").'],
    [['pub', 'a', '1', '--timeout', 'soon'], '--timeout must be a duration such as 250ms, 30s or 5m (got "soon").'],
    [['sub', 'a', '--count', 'few'], '--count must be an integer, 1 or more (got "few").'],
    [['sub', 'a', '--from', 'yesterday'], '--from must be latest, earliest, '],
    [['bench', '--size', '1'], '--size must be an integer from 30 to 200000 (got "1").'],
    [['token', '--subject', 'a', '--claim', 'b'], '--claim must be name=value (got "b").'],
    [['streams', 'trim', 'orders'], 'Say what to delete: --before <offset>, or --all.'],
    [['streams', 'trim', 'orders', '--all'], 'Pass --yes to delete all messages of stream "orders": '],
    [['streams', 'delete', 'orders'], 'Pass --yes to delete stream "orders": standard input is not a terminal'],
    [['streams', 'delete-cursor', 'orders', 'c'], 'Pass --yes to delete cursor "c" of stream "orders": '],
    [['queues', 'delete', 'mails'], 'Pass --yes to delete queue "mails": '],
    [['queues', 'purge', 'mails'], 'Pass --yes to purge queue "mails": '],
    [['queues', 'dead-letters', 'purge', 'mails'], 'Pass --yes to purge the dead letters of queue "mails": '],
  ])('%j says what to do, and ends with 2', async (args, words) => {
    const command = fanfare(args)
    expect(await command.exit).toBe(2)
    expect(command.stderr).toContain(words)
    expect(command.stderr).toMatch(/^fanfare: .*\n$/)
    expect(command.stdout).toBe('')
  })
})

describe('help', () => {
  it.each(everyCommand(fanfareProgram()).map((command) => [pathOf(command), command] as const))(
    '%s has examples, and describes each argument and option',
    (path, command) => {
      let help = ''
      command.configureOutput({ writeOut: (text) => (help += text) })
      command.outputHelp()
      if (path !== 'fanfare') expect(help).toContain('\nExamples:\n')
      for (const each of [...command.registeredArguments, ...command.options])
        expect(each.description, path).not.toBe('')
    },
  )

  it('of serve calls 0 a limit only where it is one', () => {
    let help = ''
    const serve = fanfareProgram().commands.find((command) => command.name() === 'serve')
    serve?.configureOutput({ writeOut: (text) => (help += text) }).outputHelp()
    const text = help.replace(/\s+/g, ' ')
    expect(text).toContain('before it is acknowledged (default: 0)')
    expect(text).toContain('maximum frames per second and connection (default: no limit)')
  })
})

describe('output that cannot be written', () => {
  it.each([
    ['serve', '--help'],
    ['help', 'sub'],
    ['completion', 'bash'],
    ['api-key', '--json'],
  ])('%s %s ends as usual if its reader has left', async (...args) => {
    const command = fanfare(args)
    command.process.stdout.destroy()
    expect(await command.exit, command.stderr).toBe(0)
    expect(command.stderr).toBe('')
  })

  it('is an error if the disk is full', async () => {
    for (const args of ['completion bash', 'serve --help']) {
      const command = shell(`${process.execPath} dist/server/main.js ${args} > /dev/full`)
      expect(await command.exit).toBe(1)
      expect(command.stderr).toMatch(/^fanfare: The output could not be written: ENOSPC.*\n$/)
    }
  })
})

describe('pub', () => {
  it('says what became of a message, or prints the receipt', async () => {
    const { url } = await hubHere({
      streams: [{ name: 's', topics: ['a'] }],
      queues: [{ name: 'q', bindings: [{ topic: 'a' }] }],
    })
    const env = { FANFARE_URL: url }
    const said = async (...args: string[]) => {
      const command = fanfare(['pub', ...args], env)
      expect(await command.exit, command.stderr).toBe(0)
      return command.stdout
    }
    expect(await said('a', '1')).toBe('published a: 1 stream, 1 queue\n')
    expect(await said('b', '1')).toBe(
      'published b: no stream or queue stored it, only current subscribers received it\n',
    )
    expect(await said('--queue', 'q', '1')).toBe('published queue q: 1 queue\n')
    expect(JSON.parse(await said('a', '{bad', '--text', '--json'))).toMatchObject({ duplicate: false, queues: ['q'] })
  })

  it('says how many lines were published, also after Ctrl-C', async () => {
    const { url } = await hubHere()
    const command = fanfare(['pub', 'a', '--json'], { FANFARE_URL: url })
    command.process.stdin.write('1\n2\n3\n')
    await command.said('stdout', /(\n.*){3}/)
    command.signal('SIGINT')
    expect(await command.exit).toBe(130)
    expect(command.stderr).toMatch(/^published 3 messages to a: .*; interrupted\n$/)
  })
})

describe('at a terminal', () => {
  it('asks before it deletes, and does nothing if the answer is not yes', async () => {
    const { url } = await hubHere({ queues: [{ name: 'q' }] })
    const client = connect(url)
    await client.enqueue('q', 1)
    const asked = async (answer: string) => {
      const command = atTerminal('queues delete q', { FANFARE_URL: url })
      await command.said('stdout', /Delete queue "q" with 1 message and 0 dead letters\? \[y\/N\]/)
      command.process.stdin.write(answer)
      return { code: await command.exit, command }
    }
    const refused = await asked('\n')
    expect([refused.code, refused.command.stdout]).toEqual([1, expect.stringContaining('Nothing was changed.')])
    expect(await client.admin.queues.list()).toHaveLength(1)
    expect((await asked('y\n')).code).toBe(0)
    expect(await client.admin.queues.list()).toEqual([])
    await client.close()
  })

  it('serve says where it is found', async () => {
    const command = atTerminal('serve --port 0 --engine ws', {})
    await command.said(
      'stdout',
      /Fanfare \d[\s\S]*WebSocket.*ws:\/\/127\.0\.0\.1:\d+[\s\S]*http:\/\/127\.0\.0\.1:\d+\/[\s\S]*memory[\s\S]*ws[\s\S]*Ctrl-C/,
    )
  })
})

it('a line of the log for people has the level, the message and its fields', () => {
  const line = {
    level: 40,
    time: 0,
    pid: 1,
    msg: 'origin refused',
    origin: 'http://x',
    why: 'not allowed',
    err: { stack: 'Error: a\n  at b' },
  }
  expect(readable(JSON.stringify(line), false)).toMatch(
    /^\d\d:\d\d:\d\d warn {2}origin refused origin=http:\/\/x why="not allowed"\n {2}Error: a\n {4}at b\n$/,
  )
})

it('hub and topics show the state of a hub', async () => {
  const { url } = await hubHere()
  const env = { FANFARE_URL: url }
  const client = connect(url)
  await client.publish('photos.a', 1)
  const [hub, topics] = [fanfare(['hub'], env), fanfare(['topics', '--json'], env)]
  expect(await hub.exit, hub.stderr).toBe(0)
  expect(hub.stdout).toMatch(/^version +\d[\s\S]*^published .*, 1 since the hub started$/m)
  expect(await topics.exit, topics.stderr).toBe(0)
  expect(topics.lines).toMatchObject([{ topic: 'photos.a', publishedTotal: 1 }])
  await client.close()
})

it.each([
  ['fanfare str', ['streams']],
  ['fanfare queues dead-letters re', ['redrive']],
  ['fanfare queues --js', ['--json']],
  ['fanfare queues dead-letters list q --reason ex', ['expired']],
  ['fanfare completion z', ['zsh']],
])('bash completes "%s"', async (line, words) => {
  const typed = line.split(' ')
  const script = `source <(node dist/server/main.js completion bash)
COMP_WORDS=(${typed.join(' ')}); COMP_CWORD=${typed.length - 1}; _fanfare; printf '%s\\n' "\${COMPREPLY[@]}"`
  const bash = shell(`bash -c ${JSON.stringify(script).replaceAll('\\n', '\n').replaceAll('$', '\\$')}`)
  expect(await bash.exit, bash.stderr).toBe(0)
  expect(bash.stdout.trim().split('\n')).toEqual(words)
})
