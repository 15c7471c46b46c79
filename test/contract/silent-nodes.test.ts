import { expect, it } from 'vitest'
import { hubName } from '../../shared/sys.ts'
import { fanfare } from '../setup/command.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { nodesOn, type TestNode } from '../setup/nodes.ts'

type Two = [TestNode, TestNode]

onEveryEngine('a hub of several nodes of which one does not answer', (hubs) => {
  const start = nodesOn(hubs.engine)

  it('lists a node that does not answer by its name', async () => {
    const [a, b] = (await start(2)) as Two
    b.bus.pause()
    const { nodes } = await a.client().admin.nodes.list()
    expect(nodes).toMatchObject([{ ...a.bus.node, self: true }, b.bus.node])
    expect(nodes[1]).toEqual({ ...b.bus.node, self: false })
  })

  it('says in lists of connections and topics which nodes did not answer, and that it is cut off', async () => {
    const [a, b] = (await start(2)) as Two
    await b.client().publish('t', 1)
    const client = a.client()
    const { connections, topics } = client.admin
    const lists = () => Promise.all([connections.list(), connections.find(), topics.find()])
    for (const list of await lists())
      expect(list).toMatchObject({ count: expect.any(Number), cutOff: false, unanswered: [] })
    b.bus.pause()
    for (const list of await lists()) expect(list).toMatchObject({ cutOff: false, unanswered: [b.bus.node] })
    for (const path of ['connections', 'find/connections', 'find/topics']) {
      const answer = await fetch(`http://127.0.0.1:${a.hub.port}/v1/${path}`)
      expect(await answer.json()).toMatchObject({ unanswered: [b.bus.node] })
    }
    const command = fanfare(['connections', '--json'], { FANFARE_URL: a.url })
    expect(await command.exit).toBe(0)
    expect(command.stderr).toBe(
      `fanfare: note: The list is not complete: there was no answer from ${hubName(b.bus.node)}.\n`,
    )
    expect(command.lines).toHaveLength(2)
    a.bus.cut()
    for (const list of await lists()) expect(list).toMatchObject({ cutOff: true, unanswered: [] })
  })

  it('does not take a connection for gone if a node does not answer', async () => {
    const [a, b] = (await start(2)) as Two
    await b.client().ready()
    const { connections } = a.client().admin
    const listed = (await connections.list()).connections
    const there = listed.find(({ node }) => node.id === b.bus.node.id)?.connection as string
    b.bus.pause()
    const refusal = {
      code: 'no_connection',
      message: expect.stringContaining(`there was no answer from "${b.bus.node.name}"`),
    }
    await expect(connections.show(there)).rejects.toMatchObject(refusal)
    await expect(connections.disconnect(there)).rejects.toMatchObject(refusal)
  })
})
