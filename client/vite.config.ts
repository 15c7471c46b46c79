import { defineConfig } from 'vite'

/** The client as one ES module for pages without a bundler. */
export default defineConfig({
  // Without declarations of fields that a constructor sets anyway.
  tsconfig: 'client/tsconfig.bundle.json',
  build: {
    outDir: 'dist/browser',
    emptyOutDir: true,
    target: 'es2022',
    minify: true,
    // A library's spaces would be left in, for the sake of bundlers; this one is for pages without a bundler.
    rolldownOptions: {
      output: {
        // Without commas between statements: what repeats is longer so.
        minify: { compress: { sequences: false }, mangle: true, codegen: true },
        comments: false,
      },
      // A constant that other modules use is written out: its declaration costs more.
      optimization: { inlineConst: true },
    },
    lib: { entry: 'client/bundle.ts', formats: ['es'], fileName: () => 'fanfare.js' },
  },
})
