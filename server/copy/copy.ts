import { sentence } from '../../shared/error-text.ts'
import { FanfareError } from '../../shared/errors.ts'
import type { Archive, ContentId, CopyState, Names } from '../broker/archive.ts'
import { type Counts, Digest } from './digest.ts'

/** Format of batches: a copy that was begun with another one cannot be continued. */
const FORMAT = 1

export interface CopyReport {
  readonly counts: Counts
  /** Batches that an earlier copy had written, if it was interrupted. */
  readonly continued: number
  /** Nothing was left to copy. */
  readonly wasFinished: boolean
}

export interface CopyEvents {
  /** Call as long as it works: what it does, and what was done so far. */
  progress(doing: 'copying' | 'checking', counts: Counts): void
  /** Call with why the copy may be lost, if it may. */
  warn(text: string): void
}

/**
 * Copies everything from one archive into another, and compares the two. If it is interrupted, the same call continues.
 *
 * Rejects with `data_foreign` if the target has something else of the same names, and with `data_unusable` if the two differ at the
 * end.
 */
export async function copyArchive(from: Archive, to: Archive, events: CopyEvents): Promise<CopyReport> {
  if (await isUnfinished(from))
    throw new FanfareError('data_unusable', `${from.place} holds an unfinished copy itself. Finish that copy first.`)
  const source = withFormat(await from.contentId())
  const names = await from.names()
  const state = await prepare(to, source, names)
  if (to.risk !== undefined) events.warn(to.risk)
  const batches = state?.batches ?? 0
  const wasFinished = state?.isFinished ?? false
  const read = new Digest()
  let number = 0
  for await (const batch of from.read()) {
    read.add(batch)
    number++
    if (number > batches && !wasFinished) await to.write(batch, number)
    events.progress('copying', read.counts)
  }
  const written = new Digest()
  for await (const batch of to.read(names)) {
    written.add(batch)
    events.progress('checking', written.counts)
  }
  const now = withFormat(await from.contentId())
  if (now.state !== source.state)
    throw new FanfareError('data_unusable', `${from.place} has changed while it was copied. Run the command again.`)
  const difference = read.differenceTo(written)
  if (difference !== undefined)
    throw new FanfareError('data_unusable', `${to.place} does not hold what ${from.place} holds: ${difference}.`)
  if (!wasFinished) await to.finish()
  const behind = await to.replicated()
  if (behind !== undefined) events.warn(behind)
  return { counts: read.counts, continued: batches, wasFinished }
}

async function isUnfinished(archive: Archive): Promise<boolean> {
  const state = await archive.copied()
  return state !== undefined && !state.isFinished
}

/** Makes the target ready; returns the state of an earlier copy from this source. */
async function prepare(to: Archive, source: ContentId, names: Names): Promise<CopyState | undefined> {
  const state = await to.copied()
  const isSame = state?.source.place === source.place && state.source.state === source.state
  if (state && isSame) return state
  if (state && !state.isFinished) throw unfinished(to, state, source)
  const there = await to.names()
  const taken = firstCommon('stream', names.streams, there.streams) ?? firstCommon('queue', names.queues, there.queues)
  if (taken !== undefined)
    throw new FanfareError(
      'data_foreign',
      `${to.place} already has ${taken}. Copy to another place, or delete it there.`,
    )
  await to.begin(source)
  return undefined
}

function firstCommon(kind: string, names: readonly string[], there: readonly string[]): string | undefined {
  const name = names.find((each) => there.includes(each))
  return name === undefined ? undefined : `a ${kind} "${name}"`
}

function unfinished({ place }: Archive, { source }: CopyState, wanted: ContentId): FanfareError {
  const what =
    source.place === wanted.place
      ? `${source.place}, which has changed since`
      : `${source.place}. Finish that copy first`
  return new FanfareError(
    'data_foreign',
    sentence(`${place} holds an unfinished copy of ${what}, or delete the copy and begin again`),
  )
}

function withFormat({ place, state }: ContentId): ContentId {
  return { place, state: `${FORMAT}/${state}` }
}
