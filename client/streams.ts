import type { StreamDeclaration } from '../shared/declarations.ts'
import type { CursorPage } from '../shared/streams.ts'
import type { SearchWithHistory, StreamSort, StreamStatus, StreamsFound } from '../shared/sys.ts'
import { ANY, checkOptions, checkSameName, type Rules } from './options.ts'
import { allPages } from './pages.ts'

const CURSORS_RULES: Rules<{ readonly after?: string | undefined; readonly limit?: number | undefined }> = {
  after: ANY,
  limit: ANY,
}

/** Administration of streams. All methods reject with `no_stream` if no stream has that name. */
export class StreamAdmin {
  readonly #call: (method: string, params?: unknown) => Promise<unknown>

  /** @internal */
  constructor(call: (method: string, params?: unknown) => Promise<unknown>) {
    this.#call = call
  }

  /** All streams that the client may see, in the order of their declaration. */
  list(): Promise<StreamStatus[]> {
    return allPages((from) => this.#call('streams.list', { from }))
  }

  /** Searches all streams that the client may see, and returns a part of those that match, in the order of `sort` (`name` by default). */
  find(search: SearchWithHistory<StreamSort> = {}): Promise<StreamsFound> {
    return this.#call('streams.find', search) as Promise<StreamsFound>
  }

  /** One stream. */
  show(name: string): Promise<StreamStatus> {
    return this.#call('streams.show', { name }) as Promise<StreamStatus>
  }

  /** Declares a stream. Does nothing if it exists with the same options. Rejects with `stream_exists` if it has different options, and with `bad_params`. */
  declare(declaration: StreamDeclaration): Promise<StreamStatus> {
    return this.#call('streams.declare', declaration) as Promise<StreamStatus>
  }

  /**
   * Changes options of a stream that exists; options that are not given stay as they are. Messages that the new limits do not keep are
   * deleted. Rejects with `no_stream`, `bad_params`; throws `bad_option` for another name.
   *
   * @example
   * ```
   * await client.admin.streams.update('orders', { maxAge: '30d' })
   * ```
   */
  update(name: string, changes: Omit<Partial<StreamDeclaration>, 'name'>): Promise<StreamStatus> {
    checkSameName('streams.update', name, changes)
    return this.#call('streams.update', { ...changes, name }) as Promise<StreamStatus>
  }

  /** Deletes the messages before an offset, or all messages without one. */
  trim(name: string, before?: number): Promise<StreamStatus> {
    return this.#call('streams.trim', { name, before }) as Promise<StreamStatus>
  }

  /** Deletes a stream with its messages and cursors. Its subscriptions end with `no_stream`. */
  async delete(name: string): Promise<void> {
    await this.#call('streams.delete', { name })
  }

  /**
   * Cursors of a stream in the order of their names; only the client's own if it may not read the whole stream.
   *
   * @param page - `limit` of them (100 by default, 1000 at most), after the one called `after`
   * @example
   * ```
   * const { cursors, end } = await client.admin.streams.cursors('orders', { after: 'reports' })
   * ```
   */
  async cursors(
    name: string,
    page: { readonly after?: string | undefined; readonly limit?: number | undefined } = {},
  ): Promise<CursorPage> {
    checkOptions('streams.cursors', page, CURSORS_RULES)
    return this.#call('cursors.list', { name, ...page }) as Promise<CursorPage>
  }

  /**
   * Deletes a cursor: the next subscription with its name starts at its `from`.
   *
   * @throws {FanfareError} no_cursor: the stream has no cursor of that name
   * @example
   * ```
   * await client.admin.streams.deleteCursor('orders', 'reports')
   * ```
   */
  async deleteCursor(name: string, cursor: string): Promise<void> {
    await this.#call('cursors.delete', { name, cursor })
  }
}
