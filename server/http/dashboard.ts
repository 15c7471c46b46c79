import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, extname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { type Context, Hono } from 'hono'

/** Where the build puts it, next to the client for browsers. */
const FOLDER = 'dist/dashboard'

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** The page loads nothing from elsewhere, sends nothing elsewhere, and runs no script except its own files. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "worker-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** A file with a hash in its name never changes. */
const HASHED = /-[\w-]{8,}\.\w+$/

interface Asset {
  readonly content: Uint8Array<ArrayBuffer>
  readonly zipped: Uint8Array<ArrayBuffer>
  readonly headers: Readonly<Record<string, string>>
}

/** The dashboard: the files of the build, and no others. `path` is that of the WebSocket endpoint. */
export function dashboard(path: string): Hono {
  let loading: Promise<ReadonlyMap<string, Asset>> | undefined
  const serve = async (c: Context, next: () => Promise<void>) => {
    loading ??= load(path)
    const assets = await loading
    const asset = assets.get(c.req.path)
    if (asset) return answer(c, asset)
    if (c.req.path !== '/') return next()
    // It may be built later.
    loading = undefined
    return c.text('The dashboard is not built. Run: npm run build\n', 404)
  }
  return new Hono().get('/', serve).get('/icon.svg', serve).get('/assets/:file', serve)
}

function answer(c: Context, { content, zipped, headers }: Asset): Response {
  if (c.req.header('if-none-match') === headers['etag']) return c.body(null, 304, headers)
  if (!/\bgzip\b/.test(c.req.header('accept-encoding') ?? '')) return c.body(content, 200, headers)
  return c.body(zipped, 200, { ...headers, 'content-encoding': 'gzip' })
}

/** All files of the build, by path; empty if there is no build. */
async function load(path: string): Promise<ReadonlyMap<string, Asset>> {
  const folder = join(dirname(createRequire(import.meta.url).resolve('fanfare/package.json')), FOLDER)
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  const assets = new Map<string, Asset>()
  for (const entry of entries.filter((each) => each.isFile())) {
    const file = join(entry.parentPath, entry.name)
    const address = file.slice(folder.length).replaceAll('\\', '/')
    const content = address === '/index.html' ? withPath(await readFile(file, 'utf8'), path) : await readFile(file)
    assets.set(address === '/index.html' ? '/' : address, asset(entry.name, new Uint8Array(content)))
  }
  return assets
}

function asset(name: string, content: Uint8Array<ArrayBuffer>): Asset {
  const zipped = new Uint8Array(gzipSync(content))
  return {
    content,
    zipped,
    headers: {
      'content-type': TYPES[extname(name)] ?? 'application/octet-stream',
      'content-security-policy': POLICY,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': HASHED.test(name) ? 'public, max-age=31536000, immutable' : 'no-cache',
      etag: `W/"${createHash('sha256').update(content).digest('base64url').slice(0, 22)}"`,
      vary: 'accept-encoding',
    },
  }
}

/** The page has to know the path of the WebSocket endpoint, which is configurable. */
function withPath(page: string, path: string): Buffer {
  const escaped = path.replaceAll('&', '&amp;').replaceAll('"', '&quot;')
  return Buffer.from(page.replace('name="fanfare-path" content="/"', () => `name="fanfare-path" content="${escaped}"`))
}
