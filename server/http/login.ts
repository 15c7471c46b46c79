import type { Context } from 'hono'
import { Hono } from 'hono'
import { errorEntry, FanfareError } from '../../shared/errors.ts'
import type { Access } from '../auth/access.ts'
import type { Credentials } from '../auth/identity.ts'
import { readBody } from './body.ts'
import { credentialsOf, isOwnPage, requireOwnPage } from './credentials.ts'
import type { HttpEnv } from './http-env.ts'
import { foreignForm, loginPage } from './login-page.ts'
import { statusOf } from './problem.ts'
import { forgetToken, keepToken, MAX_KEPT } from './token-cookie.ts'

/** Maximum size of a form, in bytes. */
const FORM_BYTES = 64 * 1024

/** Logging in to the dashboard with a token, and logging out. These need no authentication. */
export function login(authenticate: (credentials: Credentials) => Promise<Access>): Hono<HttpEnv> {
  return new Hono<HttpEnv>()
    .get('/login', ({ req }) => loginPage(200, req.query('ended') === undefined ? undefined : WORDS.token_expired))
    .post('/login', async (c) => {
      if (!isOwnPage(c)) return foreignForm()
      const form = new URLSearchParams(new TextDecoder().decode(await readBody(c.req.raw, FORM_BYTES)))
      const token = form.get('token')?.trim() ?? ''
      if (token === '') return loginPage(400, 'Enter a token or an API key.')
      if (encodeURIComponent(token).length > MAX_KEPT) {
        return loginPage(
          400,
          `This token is too long for a browser cookie: it has ${token.length} characters, and the maximum is ${MAX_KEPT}.`,
        )
      }
      try {
        const { endsAt } = await authenticate({ ...credentialsOf(c), token })
        return new Response(null, {
          status: 303,
          headers: { location: './', 'set-cookie': keepToken(c, token, endsAt) },
        })
      } catch (error) {
        return loginRefused(c, error)
      }
    })
    .post('/logout', (c) => {
      requireOwnPage(c)
      return new Response(null, { status: 204, headers: { 'set-cookie': forgetToken(c) } })
    })
}

const WORDS = {
  token_expired: 'Your token has expired. Log in with another one.',
  auth_unavailable: 'The hub could not check the token right now. Try again.',
} as const

/** The login page instead of a refusal. A browser that has stored an invalid token deletes it. */
export function loginRefused(c: Context<HttpEnv>, error: unknown): Response {
  if (!(error instanceof FanfareError)) throw error
  const { code, message } = error
  const status = statusOf(code)
  const headers: Record<string, string> = status === 401 ? { 'www-authenticate': 'Bearer realm="fanfare"' } : {}
  const given = c.req.method === 'POST' || credentialsOf(c).token !== undefined
  if (status === 401 && given) headers['set-cookie'] = forgetToken(c)
  return loginPage(status, given || status !== 401 ? wordsOf(code, message) : undefined, headers)
}

function wordsOf(code: FanfareError['code'], message: string): string {
  if (Object.hasOwn(WORDS, code)) return WORDS[code as keyof typeof WORDS]
  if (code !== 'unauthenticated') return message
  // The general text of the code is for programs.
  const detail = message.replace(errorEntry(code).text, '').trim()
  return `The hub does not accept this token. ${detail}`.trim()
}
