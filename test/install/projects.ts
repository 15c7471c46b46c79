/** What a project of a user is: what it installs, its files, and what it does from the install to the first message. */
export interface Project {
  readonly name: string
  /** Which of the two packages it has. */
  readonly of: 'fanfare' | '@fanfare/client'
  readonly type?: 'module' | 'commonjs'
  readonly packages?: readonly string[]
  readonly files: Readonly<Record<string, string>>
  readonly commands: readonly string[]
  /** The bundle, to be measured. */
  readonly bundle?: string
}

/** Prints what it is sent, and ends. */
const TALK = `
const client = connect(URL_OF_HUB)
const subscription = client.subscribe('greetings.*', async ({ data }) => {
  console.log(data)
  setTimeout(() => client.close(), 0)
})
subscription.ready.then(() => client.publish('greetings.hello', 'first message'))
`

/** The hub is in the project's own server. */
function talkTo(port: string): string {
  return TALK.replace('URL_OF_HUB', `\`ws://127.0.0.1:\${${port}}/live\``).replace(
    'setTimeout(() => client.close(), 0)',
    'process.exit(0)',
  )
}

const TYPED = `import { connect, type Client, type Message } from '@fanfare/client'
${TALK.replace('const client', 'const client: Client').replace('async ({ data })', 'async ({ data }: Message): Promise<void>')}`

function typescript(name: string, type: 'module' | 'commonjs', module: string, resolution: string): Project {
  const compilerOptions = {
    module,
    moduleResolution: resolution,
    target: 'es2022',
    strict: true,
    skipLibCheck: false,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    types: ['node'],
  }
  return {
    name: `TypeScript, ${name}`,
    of: '@fanfare/client',
    type,
    packages: ['typescript@6.0.3', '@types/node@22'],
    files: { 'app.ts': TYPED, 'tsconfig.json': JSON.stringify({ compilerOptions, files: ['app.ts'] }) },
    commands: ['npx tsc', 'node app.js'],
  }
}

const PAGE = `import { connect } from '@fanfare/client'\n${TALK}`

export const PROJECTS: readonly Project[] = [
  {
    name: 'Node, ES module',
    of: '@fanfare/client',
    files: { 'app.js': PAGE },
    commands: ['node app.js'],
  },
  {
    name: 'Node, CommonJS',
    of: '@fanfare/client',
    type: 'commonjs',
    files: { 'app.js': `const { connect } = require('@fanfare/client')\n${TALK}` },
    commands: ['node --disable-warning=ExperimentalWarning app.js'],
  },
  typescript('node16', 'module', 'node16', 'node16'),
  typescript('nodenext', 'module', 'nodenext', 'nodenext'),
  typescript('nodenext in CommonJS', 'commonjs', 'nodenext', 'nodenext'),
  typescript('bundler', 'module', 'esnext', 'bundler'),
  {
    name: 'Vite',
    of: '@fanfare/client',
    packages: ['vite@8'],
    files: {
      'index.html': '<script type="module" src="/app.js"></script>',
      'app.js': PAGE,
      'vite.config.js':
        "export default { build: { modulePreload: false, rolldownOptions: { output: { entryFileNames: 'app.js' } } } }",
    },
    commands: ['npx vite build --logLevel warn', 'node dist/app.js'],
    bundle: 'dist/app.js',
  },
  {
    name: 'esbuild',
    of: '@fanfare/client',
    packages: ['esbuild@0.28'],
    files: { 'app.js': PAGE },
    commands: ['npx esbuild app.js --bundle --minify --format=esm --log-level=warning --outfile=out.js', 'node out.js'],
    bundle: 'out.js',
  },
  {
    name: 'webpack',
    of: '@fanfare/client',
    packages: ['webpack@5', 'webpack-cli@6'],
    files: { 'src/index.js': PAGE },
    commands: ['npx webpack --mode production --stats errors-warnings', 'node dist/main.js'],
    bundle: 'dist/main.js',
  },
  {
    name: 'Jest',
    of: '@fanfare/client',
    packages: ['jest@30'],
    files: {
      'jest.config.js': 'export default { transform: {} }',
      'app.test.js': `import { connect } from '@fanfare/client'
        test('first message', async () => {
          const client = connect(URL_OF_HUB)
          const got = new Promise((resolve) => client.subscribe('jest.*', ({ data }) => resolve(data)))
          await client.publish('jest.hello', 'first message')
          console.log(await got)
          await client.close()
        })`,
    },
    commands: ['node --experimental-vm-modules --disable-warning=ExperimentalWarning node_modules/jest/bin/jest.js'],
  },
  {
    name: 'Express 5',
    of: 'fanfare',
    packages: ['express@5'],
    files: {
      'app.js': `import express from 'express'
        import { connect } from 'fanfare'
        import { createHub } from 'fanfare/server'
        const server = express().listen(0, '127.0.0.1', async () => {
          const hub = await createHub({ path: '/live' })
          hub.attach(server)
          ${talkTo('server.address().port')}
        })`,
    },
    commands: ['node app.js'],
  },
  {
    name: 'Fastify 5',
    of: 'fanfare',
    packages: ['fastify@5'],
    files: {
      'app.js': `import Fastify from 'fastify'
        import { connect } from 'fanfare'
        import { createHub } from 'fanfare/server'
        const app = Fastify()
        const hub = await createHub({ path: '/live' })
        hub.attach(app.server)
        await app.listen({ port: 0, host: '127.0.0.1' })
        ${talkTo('app.server.address().port')}`,
    },
    commands: ['node app.js'],
  },
]
