import { lmdbData } from './lmdb-data.ts'

/** Where a hub's process stores its data, and what can happen to the data. */
export interface KeptData {
  /** For `--data`. It changes if a copy is used instead. */
  readonly option: string
  /** Copies the data while the hub works; undefined if that failed. */
  copy(): Promise<DataCopy | undefined>
  /** Leaves no room for anything more, until `makeRoom`. False: nothing bounds the room here. */
  fill(): boolean
  makeRoom(): void
  remove(): Promise<void>
}

export interface DataCopy {
  /** Replaces the data by the copy. Call while no hub runs. */
  use(): Promise<void>
}

/** One for each broker whose data outlive the hub's process. The folder is for its files. */
export const KEPT_DATA: readonly ((folder: string) => Promise<KeptData>)[] = [lmdbData]
