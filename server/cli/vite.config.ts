import { defineConfig } from 'vite'

/**
 * The command `fanfare` as a few files instead of the hundreds of modules that the compiler made: finding and reading those would take
 * about as long as everything else that a command does before it works. Packages are not bundled, and programs import the modules.
 */
export default defineConfig({
  build: {
    ssr: 'server/main.ts',
    outDir: 'dist',
    emptyOutDir: false,
    target: 'es2023',
    minify: false,
    sourcemap: true,
    rolldownOptions: {
      external: ['#ws'],
      output: {
        entryFileNames: 'server/main.js',
        // What `bench` loads looks for the hub and for other servers from where it is.
        chunkFileNames: ({ moduleIds }) =>
          `${moduleIds.some((id) => id.includes('/test/load/')) ? 'test/load' : 'server/command'}/[name]-[hash].js`,
      },
    },
  },
})
