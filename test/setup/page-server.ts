import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A separate site on this machine, with one page. */
export class PageServer {
  html = ''
  private readonly server = createServer((_, response) =>
    response.setHeader('content-type', 'text/html; charset=utf-8').end(this.html),
  )

  static async start(): Promise<PageServer> {
    const pages = new PageServer()
    await new Promise<void>((resolve) => pages.server.listen(0, '127.0.0.1', resolve))
    return pages
  }

  get url(): string {
    return `http://localhost:${(this.server.address() as AddressInfo).port}/`
  }

  async close(): Promise<void> {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }
}
