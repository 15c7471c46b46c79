import { defineConfig } from 'vite'

/** The page of the photo demo, served by its edge. */
export default defineConfig({
  root: import.meta.dirname,
  base: './',
  build: { outDir: '../dist', emptyOutDir: true, target: 'es2022' },
})
