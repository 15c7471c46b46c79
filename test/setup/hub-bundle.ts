import { rmSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const COMMAND = fileURLToPath(new URL('../../dist/server/main.js', import.meta.url))
const OUTPUT = fileURLToPath(new URL('../output/hub/', import.meta.url))
/** The built command `fanfare` with its packages in it. */
export const BUNDLE = `${OUTPUT}main.js`

/** Packages that load a binary from where they are. */
const NATIVE = ['bufferutil', 'lmdb', 'utf-8-validate', 'uWebSockets.js']

/**
 * Bundles the built command with its packages. Tests start hundreds of hubs: finding and reading the files of the packages is
 * a third of the CPU time of a start. Tests of the command itself run what is published.
 */
export default async function setup(): Promise<void> {
  const built = timeOf(COMMAND)
  if (built > 0 && built <= timeOf(BUNDLE)) return
  rmSync(OUTPUT, { recursive: true, force: true })
  if (built === 0) throw new Error('The tests need the built command: npm run build')
  // Here, as every test that starts a hub imports this file.
  const { build } = await import('vite')
  await build({
    configFile: false,
    logLevel: 'warn',
    resolve: { alias: { '#ws': 'ws' } },
    ssr: { noExternal: true, external: NATIVE },
    build: {
      ssr: COMMAND,
      outDir: OUTPUT,
      target: 'es2023',
      minify: false,
      rolldownOptions: {
        // `bench` loads other servers.
        external: [...NATIVE, /\/test\/load\//],
        output: { entryFileNames: 'main.js', chunkFileNames: '[name]-[hash].js' },
      },
    },
  })
}

function timeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0
}
