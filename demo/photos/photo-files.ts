import { randomUUID } from 'node:crypto'
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Photo } from './contract.ts'

/** Where the files of a photo are: each photo has a folder named by its id. No name from outside becomes part of a path. */

/** Ids are made here, by `nanoid`. */
const ID = /^[\w-]{21}$/
const TYPES = ['image/jpeg', 'image/png', 'image/webp'] as const

/** Files that have not been checked yet. */
export function incomingFolder(photos: string): string {
  return join(photos, 'incoming')
}

export function folderOf(photos: string, id: string): string {
  if (!ID.test(id)) throw new Error(`${JSON.stringify(id)} is not the id of a photo`)
  return join(photos, id)
}

export function originalOf(photos: string, { id, type }: Pick<Photo, 'id' | 'type'>): string {
  return join(folderOf(photos, id), `original.${type.slice('image/'.length)}`)
}

export function thumbnailOf(photos: string, id: string, width: number): string {
  return join(folderOf(photos, id), `${width}.webp`)
}

/** The files that `/photos/<id>/<which>` serves, with their types. */
export function filesAt(photos: string, path: string): { path: string; type: string }[] {
  const [, id = '', which = ''] = /^\/photos\/([\w-]{21})\/(original|\d{1,5})$/.exec(path) ?? []
  if (id === '') return []
  if (which !== 'original') return [{ path: thumbnailOf(photos, id, Number(which)), type: 'image/webp' }]
  return TYPES.map((type) => ({ path: originalOf(photos, { id, type }), type }))
}

/** Writes a file completely or not at all: meanwhile a reader gets the previous content. */
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
