import { stat } from 'node:fs/promises'

/** Changes when a file was written to or replaced, also behind a symbolic link. Rejects if the file does not exist. */
export async function fileVersion(path: string): Promise<string> {
  const { mtimeMs, size, ino } = await stat(path)
  return `${mtimeMs} ${size} ${ino}`
}
