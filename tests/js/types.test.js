// The types for TypeScript: made of the documents, and good for stock clients.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { snippetsIn } from './support/snippet.js';
import { types } from './types.js';

const file = (path) => fileURLToPath(new URL(path, import.meta.url));

test('the kept types are made of the documents', async () => {
  const kept = readFileSync(file('../../docs/api/chat.d.ts'), 'utf8');
  assert.ok(kept === (await types()), 'docs/api/chat.d.ts is not what the documents say: node tests/js/types.js');
});

function compile(path) {
  const options = ['--noEmit', '--strict', '--skipLibCheck', '--target', 'es2022', '--module', 'nodenext', '--moduleResolution', 'nodenext'];
  execFileSync(file('node_modules/.bin/tsc'), [...options, path], { stdio: 'inherit' });
}

test('they fit stock clients, and refuse what is wrong', () => compile(file('typescript/chat.ts')));

test('the documented program compiles, and its calls are typed', () => {
  const [snippet] = snippetsIn('reference.md', 'ts');
  const folder = mkdtempSync(file('node_modules/.snippet-'));
  try {
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    copyFileSync(file('../../docs/api/chat.d.ts'), join(folder, 'chat.d.ts'));
    writeFileSync(join(folder, 'snippet.ts'), `declare const url: string, token: string;
declare function show(name: string, text: string): void;
${snippet}
export const stored: Promise<number> = call('send_message', { conversation_id: '', text: '' }).then((message) => message.seq);
// @ts-expect-error Which conversation?
call('typing');
`);
    compile(join(folder, 'snippet.ts'));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the chat page keeps to them', () => {
  execFileSync(file('node_modules/.bin/tsc'), ['--project', file('typescript/page.json')], { stdio: 'inherit' });
});
