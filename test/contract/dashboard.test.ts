import { gunzipSync } from 'node:zlib'
import { expect, it } from 'vitest'
import { connect } from '../../client/node.ts'
import { onEveryEngine } from '../setup/hubs.ts'

onEveryEngine('the dashboard over HTTP', (hubs) => {
  it('serves the built page next to the WebSocket endpoint, and nothing else', async () => {
    const { hub, http } = await hubs.start({ path: '/live&"' })
    const page = await fetch(`${http}/`)
    expect(page.status).toBe(200)
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8')
    const policy = page.headers.get('content-security-policy') ?? ''
    expect(policy).toContain("default-src 'none'")
    expect(policy).not.toMatch(/unsafe|https?:|\*/)
    const html = await page.text()
    // The page needs the endpoint's path.
    expect(html).toContain('content="/live&amp;&quot;"')
    expect(html).not.toMatch(/https?:\/\/|<script>|style=/)
    const script = /src="\.(\/assets\/[^"]+\.js)"/.exec(html)?.[1] as string
    const asset = await fetch(http + script)
    expect(asset.headers.get('content-type')).toBe('text/javascript; charset=utf-8')
    expect(asset.headers.get('cache-control')).toContain('immutable')
    const text = await asset.text()
    const worker = await fetch(`${http}/assets/tail-worker.js`)
    expect(worker.headers.get('cache-control')).toBe('no-cache')
    expect(await worker.text()).not.toBe('')
    const again = await fetch(`${http}/`, { headers: { 'if-none-match': page.headers.get('etag') as string } })
    expect(again.status).toBe(304)
    const plain = await fetch(http + script, { headers: { 'accept-encoding': 'identity' } })
    expect(plain.headers.get('content-encoding')).toBeNull()
    expect(await plain.text()).toBe(text)
    for (const path of [
      '/assets/none.js',
      '/index.html',
      '/assets/..%2f..%2fpackage.json',
      '/assets/%2e%2e/index.html',
    ]) {
      expect((await fetch(http + path)).status, path).toBe(404)
    }
    const direct = await hub.fetch(new Request(`${http}/`, { headers: { 'accept-encoding': 'gzip' } }))
    expect(gunzipSync(new Uint8Array(await direct.arrayBuffer())).toString()).toBe(html)
  })

  it('shares its path with the WebSocket endpoint', async () => {
    const { url, http } = await hubs.start()
    const client = connect(url)
    await client.ready()
    expect((await fetch(http)).headers.get('content-type')).toContain('text/html')
    await client.close()
  })
})
