import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Creates a directory with its parents, unless it exists. Not by `recursive`: Node.js tries forever where a file system such as /proc makes no directories. */
export async function makeDirectory(path: string): Promise<void> {
  const make = () =>
    mkdir(path).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST' || !(await stat(path)).isDirectory()) throw error
    })
  try {
    await make()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(path) === path) throw error
    await makeDirectory(dirname(path))
    await make()
  }
}
