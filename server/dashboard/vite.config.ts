import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url))

/** The page and its tail worker: two entries of one build, so that they share the client's code. */
export default defineConfig({
  root: file('.'),
  base: './',
  build: {
    outDir: file('../../dist/dashboard'),
    emptyOutDir: true,
    target: 'es2022',
    // A `data:` address would need an exception in the content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: [file('index.html'), file('tail-worker.ts')],
      output: {
        // The page has to know the worker's file name.
        entryFileNames: ({ name }) => (name === 'tail-worker' ? 'assets/[name].js' : 'assets/[name]-[hash].js'),
      },
    },
  },
})
