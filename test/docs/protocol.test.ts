import { on, once } from 'node:events'
import { expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { onEveryEngine } from '../setup/hubs.ts'
import { lineSource } from './matches.ts'
import { readPage } from './snippets.ts'

/** The blocks of PROTOCOL.md without a language: `>` is what a client sends, `<` what the hub answers. */
const DIALOGUES = Array.from(readPage('PROTOCOL.md').matchAll(/^```(.*)\n([\s\S]*?)^```/gm)).flatMap(
  ([, info, code]) => (info === '' ? [code as string] : []),
)

onEveryEngine('the dialogues of PROTOCOL.md', (hubs) => {
  it.each(DIALOGUES)('go as they are written, where … stands for what differs: %#', async (dialogue) => {
    const { url } = await hubs.start()
    const socket = new WebSocket(url)
    const heard = on(socket, 'message')
    await once(socket, 'open')
    for (const line of dialogue.trimEnd().split('\n')) {
      const [direction, text] = [line.slice(0, 2), line.slice(2)]
      expect(['> ', '< ']).toContain(direction)
      if (direction === '> ') socket.send(text)
      else expect(String((await heard.next()).value[0])).toMatch(new RegExp(`^${lineSource(text)}$`))
    }
    socket.terminate()
  })
})
