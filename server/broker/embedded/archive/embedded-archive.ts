import { realpath } from 'node:fs/promises'
import type { Logger } from 'pino'
import { FanfareError } from '../../../../shared/errors.ts'
import { randomId } from '../../../id/random-id.ts'
import type { Archive, Batch, ContentId, CopyState, Names } from '../../archive.ts'
import { isDataDirectory } from '../store/data-directory.ts'
import { copyKey, fromJson, toJson } from '../store/keys.ts'
import { LmdbStore } from '../store/lmdb-store.ts'
import { giveNewEpochs } from '../stream/restored.ts'
import { ArchiveReader } from './archive-reader.ts'
import { ArchiveWriter } from './archive-writer.ts'

/** A data directory as an archive. It is locked as long as it is open, as by a hub. */
export class EmbeddedArchive implements Archive {
  readonly place: string
  readonly risk = undefined
  private readonly store: LmdbStore
  private readonly realPath: string
  private readonly reader: ArchiveReader
  private writer: ArchiveWriter | undefined = undefined
  private source: ContentId | undefined = undefined

  private constructor(place: string, realPath: string, store: LmdbStore, log: Logger) {
    this.place = place
    this.realPath = realPath
    this.store = store
    // The hub of a backup gives new epochs: what was stored after the backup has its offsets.
    const epochOf = (epoch: string) => (store.isCopy ? randomId(8) : epoch)
    this.reader = new ArchiveReader(store, epochOf, log)
  }

  /** Throws the errors of `LmdbStore.open`, and `data_foreign` if it `mustExist` and does not. */
  static async open(place: string, mustExist: boolean, log: Logger): Promise<EmbeddedArchive> {
    if (mustExist && !(await isDataDirectory(place)))
      throw new FanfareError('data_foreign', `${place} is not a Fanfare data directory.`)
    const store = await LmdbStore.open(place)
    return new EmbeddedArchive(place, await realpath(place), store, log)
  }

  async contentId(): Promise<ContentId> {
    return { place: this.realPath, state: String(this.store.lastTransaction) }
  }

  async names(): Promise<Names> {
    return this.reader.names
  }

  read(only?: Names): AsyncIterable<Batch> {
    return this.reader.read(only)
  }

  async copied(): Promise<CopyState | undefined> {
    const stored = this.store.get(copyKey())
    const state = stored && (fromJson(stored) as CopyState)
    this.source = state?.source
    return state
  }

  async begin(source: ContentId): Promise<void> {
    if (this.store.isCopy) {
      // Otherwise its hub would do so, and give new epochs to what is copied now as well.
      await giveNewEpochs(this.store)
      await this.store.adopt()
    }
    this.source = source
    await this.store.commit([this.state(0, false)], 'message')
  }

  async write(batch: Batch, number: number): Promise<void> {
    this.writer ??= new ArchiveWriter(this.store, Date.now())
    await this.store.commit([...this.writer.changesOf(batch), this.state(number, false)], 'message')
  }

  async finish(): Promise<void> {
    const { batches } = (await this.copied()) as CopyState
    await this.store.commit([this.state(batches, true)], 'room')
  }

  async replicated(): Promise<undefined> {
    return undefined
  }

  close(): Promise<void> {
    return this.store.close()
  }

  private state(batches: number, isFinished: boolean) {
    const state: CopyState = { source: this.source as ContentId, batches, isFinished }
    return { key: copyKey(), value: toJson(state) }
  }
}
