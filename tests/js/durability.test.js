// Whether Postgres keeps what it has, as /health says.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { withDatabase } from './support/database.js';
import { call } from './support/rest.js';
import { serverForFile } from './support/server.js';
import { eventually } from './support/wait.js';
import { newPair, say } from './support/world.js';

const server = await serverForFile();
const health = async () => (await call(server, 'GET', '/health')).body;
const set = (setting, value) =>
  withDatabase(server, async (database) => {
    await database.query(`ALTER SYSTEM SET ${setting} = ${value}`);
    await database.query('SELECT pg_reload_conf()');
  });

test('nothing is said while all is well', async () => {
  assert.deepEqual(await health(), { success: true, status: 'ok' });
});

for (const setting of ['fsync', 'synchronous_commit']) {
  test(`${setting} that is turned off is said, and logged, and so is its end`, async () => {
    const { alice, conversation } = await newPair(server);
    await set(setting, 'off');
    const { success, status, warnings } = await eventually(
      async () => {
        const body = await health();
        return body.warnings && body;
      },
      'a warning',
      { limit: 30_000 },
    );
    assert.deepEqual([success, status, warnings.length], [true, 'ok', 1]);
    assert.ok(warnings[0].startsWith(`${setting} is off: `), warnings[0]);
    await eventually(() => server.log.some((line) => line.includes(`${setting} is off`)), 'a line in the log');
    await say(server, alice, conversation, 'goes on');
    await set(setting, 'on');
    await eventually(async () => !(await health()).warnings, 'the end of the warning', { limit: 30_000 });
  });
}
