import { defineConfig } from 'vite';

export default defineConfig({
  root: 'src/page',
  // Relative, so that the page works below any path.
  base: './',
  // Workspace packages are bundled from their sources: no build of theirs can be stale.
  resolve: { conditions: ['source', 'browser', 'import', 'module', 'default'] },
  build: {
    outDir: '../../dist/page',
    emptyOutDir: true,
    target: 'es2022',
    // A strict Content-Security-Policy refuses data: URLs and inline scripts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
});
