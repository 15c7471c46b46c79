import { stat } from 'node:fs/promises'

/** Differs where a file was written to or replaced, also behind a link. Rejects where it is not there. */
export async function fileVersion(path: string): Promise<string> {
  const { mtimeMs, size, ino } = await stat(path)
  return `${mtimeMs} ${size} ${ino}`
}
