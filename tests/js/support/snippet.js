// The snippets of the documentation, to be run as they stand there.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const DOCS = resolve(dirname(fileURLToPath(import.meta.url)), '../../../docs');
// Inside the package, so that a snippet finds its imports.
const PACKAGE = resolve(dirname(fileURLToPath(import.meta.url)), '..');

const textOf = (page) => readFileSync(join(DOCS, page), 'utf8');

/** All snippets of a page in their order, each with its language. */
export function fences(page) {
  const text = textOf(page);
  const found = [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language, code]) => ({ language, code }));
  // One of another form would be run by nobody.
  const marks = text.match(/^[ \t]*(```|~~~)/gm) ?? [];
  if (marks.length !== 2 * found.length) throw new Error(`a snippet of ${page} does not begin as \`\`\`language, or does not end`);
  return found;
}

/** The code of a page's snippets in a language; there is some. */
export function snippetsIn(page, language) {
  const found = fences(page).filter((fence) => fence.language === language);
  if (found.length === 0) throw new Error(`no ${language} in ${page}`);
  return found.map(({ code }) => code);
}

/** Calls `use` with a file of a page's JavaScript snippets, which is gone afterwards. */
export async function withProgram(page, use) {
  const folder = mkdtempSync(join(PACKAGE, 'node_modules', '.snippet-'));
  try {
    const file = join(folder, 'snippet.mjs');
    writeFileSync(file, snippetsIn(page, 'js').join('\n'));
    return await use(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What the JavaScript snippets of a page export. */
export const snippets = (page) => withProgram(page, (file) => import(pathToFileURL(file)));

/** The same; `uncalled()` names what no test has called yet, and a snippet that has nothing to be called by. */
export async function watchedSnippets(page) {
  const called = new Set();
  const watched = ([name, exported]) => {
    const call = (...args) => {
      called.add(name);
      return exported(...args);
    };
    return [name, call];
  };
  const exportsOf = (code) => [...code.matchAll(/^export (?:async )?(?:function|const) (\w+)/gm)].map(([, name]) => name);
  const uncalled = () =>
    snippetsIn(page, 'js').flatMap((code) => {
      const names = exportsOf(code);
      return names.length === 0 ? [code] : names.filter((name) => !called.has(name));
    });
  return { ...Object.fromEntries(Object.entries(await snippets(page)).map(watched)), uncalled };
}
