import { readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { defineConfig, esmExternalRequirePlugin } from 'vite'

/**
 * The package `ws` as one ES module, for bundlers: package.json gives it to them as `#ws`. It imports the modules of Node, and `ws`
 * requires them, which esbuild cannot translate in an ES module. Node itself loads `ws`.
 */
export default defineConfig({
  build: {
    outDir: 'dist/client',
    emptyOutDir: false,
    target: 'node20',
    minify: false,
    rolldownOptions: {
      platform: 'neutral',
      // Optional: `ws` does without them.
      external: ['bufferutil', 'utf-8-validate'],
      plugins: [esmExternalRequirePlugin({ external: [...builtinModules] })],
      output: { banner: `/*! ws: ${readFileSync('node_modules/ws/LICENSE', 'utf8')} */` },
    },
    lib: { entry: 'node_modules/ws/wrapper.mjs', formats: ['es'], fileName: () => 'ws.js' },
  },
})
