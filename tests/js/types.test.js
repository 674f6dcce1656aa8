// The types for TypeScript: made of the documents, and good for stock clients.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { types } from './types.js';

const file = (path) => fileURLToPath(new URL(path, import.meta.url));

test('the kept types are made of the documents', async () => {
  const kept = readFileSync(file('../../docs/api/chat.d.ts'), 'utf8');
  assert.ok(kept === (await types()), 'docs/api/chat.d.ts is not what the documents say: node tests/js/types.js');
});

test('they fit stock clients, and refuse what is wrong', () => {
  const options = ['--noEmit', '--strict', '--skipLibCheck', '--target', 'es2022', '--module', 'nodenext', '--moduleResolution', 'nodenext'];
  execFileSync(file('node_modules/.bin/tsc'), [...options, file('typescript/chat.ts')], { stdio: 'inherit' });
});
