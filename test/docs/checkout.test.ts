import { expect, it } from 'vitest'
import { shell } from '../setup/command.ts'
import { readPage, snippetsOf } from './snippets.ts'

const SCREEN_LINES = 30
const MAX_LINES = 150

it('the README is short, and its first screen has the commands of a checkout and of a project', () => {
  const lines = readPage('README.md').split('\n')
  expect(lines.length - 1).toBeLessThanOrEqual(MAX_LINES)
  const screen = lines.slice(0, SCREEN_LINES).join('\n')
  for (const command of ['npm ci && npm start', 'npm ci && npm test', 'npm install fanfare'])
    expect(screen).toContain(command)
})

it('the README starts a hub in a checkout with the command it gives', async () => {
  // This runs inside of the second line, after the `npm ci` of both.
  const checkout = snippetsOf('README.md').find(({ flags }) => flags.has('checkout'))
  const [start = '', test = ''] = checkout?.code.split('\n').map((line) => line.replace(/\s*#.*/, '')) ?? []
  expect(test).toBe('npm ci && npm test')
  expect(start).toMatch(/^npm ci && /)
  const hub = shell(start.replace('npm ci && ', ''), { FANFARE_PORT: '0', FANFARE_DATA: 'memory' })
  await hub.said('stderr', /"port":\d+.*"msg":"listening"/)
})
