// Bundles the page. The result is kept in ../dist, so that building the command
// needs no Node; a test checks that it is what these sources give.
import { build } from 'esbuild';
import { copyFileSync, mkdirSync } from 'node:fs';

const out = process.argv[2] ?? '../dist';
mkdirSync(out, { recursive: true });
await build({
  entryPoints: { app: 'src/main.tsx', style: 'src/style.css' },
  outdir: out,
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  legalComments: 'none',
});
copyFileSync('src/index.html', `${out}/index.html`);
