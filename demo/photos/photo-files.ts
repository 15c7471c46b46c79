import { randomUUID } from 'node:crypto'
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Photo } from './contract.ts'

/**
 * Where the files of a photo lie: a folder each, of the name of its id. No name that came from outside is part of a path.
 */

/** Ids are made here, by `nanoid`. */
const ID = /^[\w-]{21}$/
const TYPES = ['image/jpeg', 'image/png', 'image/webp'] as const

/** Files that have not been looked at yet. */
export function incomingFolder(photos: string): string {
  return join(photos, 'incoming')
}

export function folderOf(photos: string, id: string): string {
  if (!ID.test(id)) throw new Error(`${JSON.stringify(id)} is no photo's id`)
  return join(photos, id)
}

export function originalOf(photos: string, { id, type }: Pick<Photo, 'id' | 'type'>): string {
  return join(folderOf(photos, id), `original.${type.slice('image/'.length)}`)
}

export function thumbnailOf(photos: string, id: string, width: number): string {
  return join(folderOf(photos, id), `${width}.webp`)
}

/** What `/photos/<id>/<which>` may be: files, with their types. */
export function filesAt(photos: string, path: string): { path: string; type: string }[] {
  const [, id = '', which = ''] = /^\/photos\/([\w-]{21})\/(original|\d{1,5})$/.exec(path) ?? []
  if (id === '') return []
  if (which !== 'original') return [{ path: thumbnailOf(photos, id, Number(which)), type: 'image/webp' }]
  return TYPES.map((type) => ({ path: originalOf(photos, { id, type }), type }))
}

/** Writes a file whole or not at all: whoever reads the path meanwhile gets what was there before. */
export async function writeWhole<Result>(path: string, write: (to: string) => Promise<Result>): Promise<Result> {
  const part = `${path}.${randomUUID()}.part`
  try {
    const result = await write(part)
    await rename(part, path)
    return result
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
}
