import { readdirSync, readFileSync } from 'node:fs'
import { defineConfig, type Plugin } from 'vite'

/**
 * The hub sends the text of its errors along, so a page needs only those that the client raises itself: whose codes its files name.
 */
function withoutHubTexts(): Plugin {
  const files = ['client', 'shared'].flatMap((folder) => readdirSync(folder).map((file) => `${folder}/${file}`))
  const sources = files.filter((file) => !file.endsWith('/errors.ts')).map((file) => readFileSync(file, 'utf8'))
  const isRaisedHere = (code: string) => sources.some((source) => source.includes(`'${code}'`))
  return {
    name: 'without-hub-texts',
    enforce: 'pre',
    transform(code, id) {
      if (!id.endsWith('/shared/errors.ts')) return
      const entry = /^ {2}(\w+): (refusal|passing)\(\s*(?:'[^']*'|"[^"]*")/gm
      return code.replace(entry, (all, name: string, kind: string) =>
        isRaisedHere(name) ? all : `  ${name}: ${kind}(''`,
      )
    },
  }
}

/** The client as one ES module for pages without a bundler. */
export default defineConfig({
  plugins: [withoutHubTexts()],
  // Without declarations of fields that a constructor sets anyway.
  tsconfig: 'client/tsconfig.bundle.json',
  build: {
    outDir: 'dist/browser',
    emptyOutDir: true,
    target: 'es2022',
    minify: true,
    // A library's spaces would be left in, for the sake of bundlers; this one is for pages that have none.
    rolldownOptions: { output: { minify: true, comments: false } },
    lib: { entry: 'client/index.ts', formats: ['es'], fileName: () => 'fanfare.js' },
  },
})
