/**
 * Authentication with tokens (JWT): your server signs them for users that have logged in. Run `npx tsx jwt.ts`.
 * Each user may publish and subscribe to topics of their own, and read the news.
 */
import { createHmac, randomBytes } from 'node:crypto'
import { connect } from 'fanfare/client'
import { startHub } from 'fanfare/server'

process.env['JWT_SECRET'] = randomBytes(32).toString('base64url')

const hub = await startHub({
  port: 0,
  auth: {
    jwt: { keys: [{ secretEnv: 'JWT_SECRET' }] },
    // For tokens without a role and without permissions.
    roles: { default: { publish: ['users.${sub}.#'], subscribe: ['users.${sub}.#', 'news.#'] } },
  },
})

/** What your web server's login returns. Any JWT library can make it. */
function tokenFor(user: string): string {
  const encoded = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const exp = Math.floor(Date.now() / 1000) + 600
  const signed = `${encoded({ alg: 'HS256', typ: 'JWT' })}.${encoded({ sub: user, exp })}`
  const secret = process.env['JWT_SECRET'] as string
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

// Called for each connection, and again before a token expires. In a browser: async () => (await fetch('/token')).text()
const ann = connect(`ws://127.0.0.1:${hub.port}`, { getToken: async () => tokenFor('ann') })

const notes = ann.subscribe('users.ann.#')
await notes.ready
await ann.publish('users.ann.note', 'mine')
for await (const { topic, data } of notes) {
  console.log(topic, data)
  break
}
await ann.publish('users.bob.note', 'not mine').catch(({ code }) => console.log('users.bob.note', code))

await ann.close()
await hub.close()
