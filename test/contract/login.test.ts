import { beforeAll, expect, it } from 'vitest'
import { apiKey, auth, entered, good } from '../setup/authenticated.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { Peer } from '../setup/peer.ts'
import { inSeconds, sign } from '../setup/tokens.ts'

onEveryEngine('logging in to the dashboard', (hubs) => {
  let http = ''
  let url = ''
  beforeAll(async () => {
    ;({ http, url } = await hubs.start({ auth, trustedProxies: ['127.0.0.1'] }))
  })
  const open = (headers: Record<string, string> = {}) => fetch(http, { headers: { accept: 'text/html', ...headers } })
  const logIn = (token: string, headers: Record<string, string> = {}) =>
    fetch(`${http}/login`, { method: 'POST', redirect: 'manual', headers, body: new URLSearchParams({ token }) })
  const cookieOf = (answer: Response) => answer.headers.get('set-cookie') ?? ''

  it('shows a login page instead of the dashboard, which loads nothing from other hosts', async () => {
    const page = await open()
    expect([page.status, page.headers.get('content-type')]).toEqual([401, 'text/html; charset=utf-8'])
    expect(page.headers.get('content-security-policy')).toMatch(/^default-src 'none'.*form-action 'self'/)
    expect(page.headers.get('content-security-policy')).not.toContain('unsafe')
    const text = await page.text()
    expect(text).toContain('Log in to Fanfare')
    // Nothing was wrong yet, and there is nothing to forget.
    expect(text).not.toContain('role="alert"')
    expect(cookieOf(page)).toBe('')
    expect(text).not.toMatch(/(src|href|action)="(\/|https?:)/)
    expect((await fetch(`${http}/login`)).status).toBe(200)
    expect(await (await open({ cookie: 'other=1' })).text()).not.toContain('role="alert"')
  })

  it('keeps a good token in a cookie that no script reads, no other site sends, and that expires with it', async () => {
    const key = await logIn(` ${apiKey}\n`)
    // Relative: a proxy may serve the hub below a path.
    expect([key.status, key.headers.get('location')]).toEqual([303, './'])
    const { port } = new URL(http)
    expect(cookieOf(key)).toBe(`fanfare_${port}=${apiKey}; HttpOnly; SameSite=Strict`)
    const jwt = await logIn(await sign(good))
    const age = Number(/; Max-Age=(\d+); HttpOnly; SameSite=Strict$/.exec(cookieOf(jwt))?.[1])
    expect(age).toBeGreaterThan(30)
    expect(age).toBeLessThanOrEqual(70)
    const proxied = await logIn(apiKey, { 'x-forwarded-proto': 'https' })
    expect(cookieOf(proxied)).toMatch(/; Secure$/)
    const [cookie = ''] = cookieOf(key).split(';')
    const page = await open({ cookie: `other=1; ${cookie}` })
    expect([page.status, (await page.text()).includes('id="app"')]).toEqual([200, true])
    expect(await (await fetch(`${http}/token`, { headers: { cookie } })).text()).toBe(apiKey)
  })

  it('accepts the cookie only for the dashboard', async () => {
    const [cookie = ''] = cookieOf(await logIn(apiKey)).split(';')
    for (const path of ['/v1/queues', '/metrics', '/fanfare.js', '/v1/events?pattern=a']) {
      expect([path, (await fetch(http + path, { headers: { cookie } })).status]).toEqual([path, 401])
    }
    const purge = await fetch(`${http}/v1/queues/q/purge`, { method: 'POST', headers: { cookie } })
    expect(purge.status).toBe(401)
    const peer = await Peer.open(url, ['fanfare.v1'], { cookie })
    peer.send({ type: 'hello' })
    expect(await entered(peer)).toMatchObject({ code: 'unauthenticated' })
    for (const site of ['cross-site', 'same-site']) {
      const foreign = await fetch(`${http}/token`, { headers: { cookie, 'sec-fetch-site': site } })
      expect(foreign.status).toBe(403)
    }
  })

  it.each([
    ['that is not a token', async () => 'nonsense', 401, 'The hub does not accept this token'],
    ['that has expired', () => sign({ ...good, exp: inSeconds(-30) }), 401, 'Your token has expired'],
    ['that is missing', async () => ' ', 400, 'Enter a token'],
    ['that no browser keeps', async () => 'x'.repeat(5000), 400, 'too long for a browser'],
  ])('explains what is wrong with a token %s', async (_, token, status, words) => {
    const answer = await logIn(await token())
    expect(answer.status).toBe(status)
    const text = await answer.text()
    expect(text).toContain(words)
    expect(text).toMatch(/aria-invalid="true" aria-describedby="problem"/)
    // The error table's message for programs.
    expect(text).not.toContain('Authorization: Bearer')
    expect(cookieOf(answer)).not.toContain(await token())
  })

  it('makes a browser forget a token that is no longer valid, and explains why', async () => {
    const expired = await sign({ ...good, exp: inSeconds(-30) })
    const page = await open({ cookie: `fanfare_${new URL(http).port}=${expired}` })
    expect([page.status, await page.text()]).toEqual([401, expect.stringContaining('Your token has expired')])
    expect(cookieOf(page)).toMatch(/^fanfare_\d+=; Max-Age=0; HttpOnly; SameSite=Strict$/)
    const out = await fetch(`${http}/logout`, { method: 'POST' })
    expect([out.status, cookieOf(out)]).toEqual([204, expect.stringMatching(/^fanfare_\d+=; Max-Age=0;/)])
    expect(await (await fetch(`${http}/login?ended`)).text()).toContain('Your token has expired')
  })

  it('lets no page of another site log a user in or out', async () => {
    const listed = await hubs.start({ auth, allowedOrigins: ['*'] })
    for (const path of ['/login', '/logout']) {
      const ask = (base: string, headers: Record<string, string>) =>
        fetch(base + path, {
          method: 'POST',
          headers,
          body: new URLSearchParams({ token: apiKey }),
          redirect: 'manual',
        })
      const answers = [
        await ask(http, { origin: 'https://evil.example' }),
        await ask(http, { origin: 'null' }),
        await ask(http, { 'sec-fetch-site': 'cross-site' }),
        await ask(listed.http, { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }),
        await ask(listed.http, { origin: 'http://127.0.0.1:1', 'sec-fetch-site': 'same-site' }),
      ]
      for (const answer of answers) expect([answer.status, cookieOf(answer)]).toEqual([403, ''])
    }
  })

  it('recognises pages of other sites by their origin only, as browsers send it over plain HTTP', async () => {
    const page = 'http://app.example'
    const listing = (allowedOrigins: string[]) => hubs.start({ auth, allowedOrigins, trustedProxies: ['127.0.0.1'] })
    for (const { http: base } of await Promise.all([listing([page]), listing(['*'])])) {
      const { host, port } = new URL(base)
      const cookie = `fanfare_${port}=${apiKey}`
      const ask = (method: string, path: string, headers: Record<string, string>) =>
        fetch(base + path, {
          method,
          headers: { cookie, ...headers },
          redirect: 'manual',
          ...(method === 'POST' && { body: new URLSearchParams({ token: apiKey }) }),
        })
      const asked = (
        [
          ['POST', '/login'],
          ['POST', '/logout'],
          ['GET', '/token'],
        ] as const
      ).map(([method, path]) => async (headers: Record<string, string>) => {
        const answer = await ask(method, path, headers)
        const text = await answer.text()
        return { status: answer.status, leaks: text.includes(apiKey) || cookieOf(answer) !== '', text }
      })
      for (const each of asked) {
        for (const origin of [
          page,
          'null',
          `http://127.0.0.1:1`,
          `http://${host}.evil.example`,
          'chrome-extension://abc',
        ]) {
          expect([origin, await each({ origin })]).toEqual([
            origin,
            expect.objectContaining({ status: 403, leaks: false }),
          ])
        }
        // The proxy was asked for the hub's own name, and no other name is.
        const proxied = { 'x-forwarded-host': 'hub.example', 'x-forwarded-proto': 'https' }
        expect((await each({ ...proxied, origin: `http://${host}` })).status).toBe(403)
        expect((await each({ ...proxied, origin: 'http://hub.example' })).status).toBe(403)
        expect((await each({ ...proxied, origin: 'https://hub.example' })).status).toBeLessThan(400)
        expect((await each({ origin: `http://${host}` })).status).toBeLessThan(400)
        expect((await each({ origin: `http://${host}`, 'sec-fetch-site': 'same-origin' })).status).toBeLessThan(400)
        expect((await each({ 'sec-fetch-site': 'none' })).status).toBeLessThan(400)
        expect((await each({})).status).toBeLessThan(400)
      }
      // A person may have got there, through a proxy that hides the name.
      expect((await asked[0]?.({ origin: page }))?.text).toMatch(
        /role="alert">The hub accepts this form only from its own page/,
      )
    }
    // Also if the site is on no list.
    const refused = await logIn(apiKey, { origin: page })
    expect([refused.status, await refused.text()]).toEqual([403, expect.stringContaining('trustedProxies')])
  })

  it('shows the dashboard without a login if no authentication is required', async () => {
    const anyone = await hubs.start()
    const page = await fetch(anyone.http, { headers: { accept: 'text/html' } })
    expect([page.status, (await page.text()).includes('id="app"')]).toEqual([200, true])
  })
})
