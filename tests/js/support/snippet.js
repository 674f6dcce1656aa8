// The snippets of the documentation, to be run as they stand there.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const DOCS = resolve(dirname(fileURLToPath(import.meta.url)), '../../../docs');
// Inside the package, so that a snippet finds its imports.
const PACKAGE = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/** What the JavaScript snippets of a page export. */
export async function snippets(page) {
  const code = [...readFileSync(join(DOCS, page), 'utf8').matchAll(/^```js\n([\s\S]*?)^```$/gm)];
  if (code.length === 0) throw new Error(`no JavaScript in ${page}`);
  const folder = mkdtempSync(join(PACKAGE, 'node_modules', '.snippet-'));
  try {
    const file = join(folder, 'snippet.mjs');
    writeFileSync(file, code.map(([, text]) => text).join('\n'));
    return await import(pathToFileURL(file));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
