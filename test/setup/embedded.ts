import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { pino } from 'pino'
import { EmbeddedBroker } from '../../server/broker/embedded/embedded-broker.ts'
import { under } from '../../server/broker/embedded/store/keys.ts'
import { LmdbStore } from '../../server/broker/embedded/store/lmdb-store.ts'
import type { Change, Key, Range, Snapshot, Store } from '../../server/broker/embedded/store/store.ts'
import type { Purpose } from '../../server/broker/rules/storage-full.ts'
import {
  type BrokerMaker,
  type BrokerSettings,
  type BrokerUnderTest,
  clockOf,
  type HeldCommit,
} from './broker-under-test.ts'
import { eventsWith } from './drafts.ts'
import { LastingStore } from './lasting-store.ts'

/** The embedded broker over a store that outlives it. */
export const inMemory: BrokerMaker = {
  isFast: true,
  open(settings) {
    const store = new LastingStore()
    return UnderTest.over(
      async () => store,
      async () => {},
      settings,
    )
  },
}

export const onLmdb: BrokerMaker = {
  isFast: false,
  async open(settings) {
    const directory = await mkdtemp(join(tmpdir(), 'fanfare-broker-'))
    const remove = () => rm(directory, { recursive: true })
    return UnderTest.over(() => LmdbStore.open(directory), remove, settings)
  },
}

class UnderTest implements BrokerUnderTest {
  readonly clock = { now: 1_000_000 }
  readonly failsFirst = false
  private readonly openStore: () => Promise<Store>
  private readonly remove: () => Promise<void>
  private readonly settings: BrokerSettings
  private store: FragileStore
  private opened: EmbeddedBroker

  private constructor(
    openStore: () => Promise<Store>,
    remove: () => Promise<void>,
    settings: BrokerSettings,
    first: Store,
  ) {
    this.openStore = openStore
    this.remove = remove
    this.settings = settings
    this.store = new FragileStore(first)
    this.opened = this.open()
  }

  static async over(openStore: () => Promise<Store>, remove: () => Promise<void>, settings: BrokerSettings) {
    return new UnderTest(openStore, remove, settings, await openStore())
  }

  get broker(): EmbeddedBroker {
    return this.opened
  }

  passTime(): void {
    this.opened.tick()
  }

  async idle(): Promise<void> {
    while (!this.opened.idle) await setImmediate()
  }

  nextReady(): Promise<string> {
    return new Promise((resolve) => {
      void this.opened.open(eventsWith({ ready: resolve }))
    })
  }

  readonly failWith = (error: Error | undefined) => {
    this.store.failsWith = error
  }

  holdCommit(): HeldCommit {
    return this.store.hold()
  }

  readonly records = async () => [...this.store.range(under())].length

  async streamBytes(): Promise<number> {
    let sum = 0
    for (const { name, first } of await this.opened.streams()) {
      for (let offset = first; ; ) {
        const block = await this.opened.read(name, offset)
        if (!block) break
        sum += block.bytes
        offset = block.lastOffset + 1
      }
    }
    return sum
  }

  async reopen(): Promise<void> {
    await this.opened.close()
    this.store = new FragileStore(await this.openStore())
    this.opened = this.open()
  }

  async close(): Promise<void> {
    await this.opened.close()
    await this.remove()
  }

  private open(): EmbeddedBroker {
    const clock = clockOf(this.settings, this.clock)
    return new EmbeddedBroker(this.store, { ...this.settings, clock }, pino({ enabled: false }))
  }
}

/** A store that can be made to fail, and to let a commit be read a while before it is done, as those of LMDB can. */
class FragileStore implements Store {
  failsWith: Error | undefined = undefined
  private held: { begun: () => void; readonly released: Promise<void> } | undefined = undefined
  private readonly store: Store

  constructor(store: Store) {
    this.store = store
  }

  get failure(): string | undefined {
    return this.store.failure
  }

  get commitBytes(): number {
    return this.store.commitBytes
  }

  get(key: Key): Uint8Array | undefined {
    return this.store.get(key)
  }

  range(range: Range): Iterable<readonly [Key, Uint8Array]> {
    return this.store.range(range)
  }

  snapshot(): Snapshot {
    return this.store.snapshot()
  }

  keys(range: Omit<Range, 'reverse'>): Iterable<Key> {
    return this.store.keys(range)
  }

  hold(): HeldCommit {
    let [begun, release] = [() => {}, () => {}]
    const began = new Promise<void>((resolve) => {
      begun = resolve
    })
    const released = new Promise<void>((resolve) => {
      release = resolve
    })
    this.held = { begun, released }
    return { begun: began, release }
  }

  async commit(changes: readonly Change[], purpose: Purpose): Promise<void> {
    if (this.failsWith) throw this.failsWith
    const { held } = this
    this.held = undefined
    await this.store.commit(changes, purpose)
    held?.begun()
    await held?.released
  }

  close(): Promise<void> {
    return this.store.close()
  }
}
