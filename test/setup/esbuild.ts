import { createRequire } from 'node:module'

/** As much of esbuild as is used. */
interface Esbuild {
  build(options: object): Promise<unknown>
}

/** What `require` finds for a package. */
export const from = (owner: string) => createRequire(createRequire(import.meta.url).resolve(owner))

/** It comes with tsx. */
export const esbuild = from('tsx')('esbuild') as Esbuild
