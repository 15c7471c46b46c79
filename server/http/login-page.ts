import { createHash } from 'node:crypto'

/** The page is self-contained: without a token nothing else of the dashboard is served. */
const STYLE = `
:root { color-scheme: light dark; --page: #f6f6f4; --panel: #fff; --ink: #1b1d21; --muted: #5d636d; --line: #8a8f98;
  --link: #2353c4; --button: #fff; --bad: #b42323; }
@media (prefers-color-scheme: dark) { :root { --page: #121316; --panel: #1a1c20; --ink: #e9eaec; --muted: #9ba1ab;
  --line: #7b818c; --link: #8ab0ff; --button: #121316; --bad: #ff8d89; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem; color: var(--ink);
  background: var(--page); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { width: 100%; max-width: 26rem; padding: 1.5rem; background: var(--panel); border: 1px solid var(--line); border-radius: 10px; }
h1 { margin: 0 0 .25rem; font-size: 1.4rem; }
p { margin: 0 0 1rem; }
.quiet { margin: 1rem 0 0; color: var(--muted); font-size: .9rem; }
.problem { color: var(--bad); font-weight: 600; overflow-wrap: anywhere; }
label { display: block; font-weight: 600; margin-bottom: .3rem; }
input, button { width: 100%; min-height: 44px; font: inherit; border-radius: 6px; }
input { padding: .5rem .7rem; color: inherit; background: var(--page); border: 1px solid var(--line); }
button { margin-top: .8rem; border: 1px solid transparent; color: var(--button); background: var(--link); font-weight: 600; cursor: pointer; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
code { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .95em; }
`

/**
 * The requested place in the dashboard is preserved: a redirect keeps the part of the address after the #. Users who follow a link
 * from another site may be logged in already: the browser does not send the cookie with that request, but does when the page
 * reloads itself.
 */
const SCRIPT = `document.forms[0].action += location.hash
if (performance.getEntriesByType('navigation')[0]?.type === 'navigate')
  fetch('token').then(({ status }) => status === 200 && location.reload(), () => {})`

const POLICY = [
  "default-src 'none'",
  `style-src '${hashOf(STYLE)}'`,
  `script-src '${hashOf(SCRIPT)}'`,
  'img-src data:',
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** The login page, with an error if there was one. Its addresses are relative, because a proxy may serve it under a path prefix. */
export function loginPage(status: number, problem: string | undefined, headers: Record<string, string> = {}): Response {
  const words = problem === undefined ? '' : `<p class="problem" id="problem" role="alert">${escaped(problem)}</p>`
  const invalid = problem === undefined ? '' : ' aria-invalid="true" aria-describedby="problem"'
  const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Log in – Fanfare</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>Log in to Fanfare</h1>
<p>Paste a token or an API key for this hub.</p>
${words}
<form method="post" action="login">
<label for="token">Token or API key</label>
<input id="token" name="token" type="password" required autofocus autocomplete="off" spellcheck="false"${invalid}>
<button>Log in</button>
</form>
<p class="quiet">The operator of the hub creates one with <code>npx fanfare token</code> or <code>npx fanfare api-key</code>.</p>
</main>
<script>${SCRIPT}</script>
</body>
</html>
`
  return new Response(page, {
    status,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': POLICY,
      'cache-control': 'no-store',
      // With no-referrer a browser sends a null origin for the form, and the hub would refuse it.
      'referrer-policy': 'same-origin',
      ...headers,
    },
  })
}

/** The login page again, for a form that seems to come from another site's page. */
export function foreignForm(): Response {
  return loginPage(
    403,
    'The hub accepts this form only from its own page. Log in here. If this message appears again, a proxy in front of the hub does not pass on the host name: configure it to do so, or list it in trustedProxies.',
  )
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
