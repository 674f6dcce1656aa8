import { chmodSync, mkdtempSync, rmSync } from 'node:fs';

import { Cleanup } from './events.js';

/** A directory of the run’s own. */
export function scratchDirectory(cleanup) {
  const directory = mkdtempSync('/tmp/ht-crash-');
  // Postgres runs as another user, who has to be able to walk in.
  chmodSync(directory, 0o755);
  cleanup.add(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A few violations of each rule: one lost message breaks several, and thousands of lines help nobody. */
export function firstOfEachRule(found) {
  return found.filter(({ rule }, index) => found.slice(0, index).filter((other) => other.rule === rule).length < 5);
}

/** Runs `body` with a cleanup that ends everything, and shows the server's log where it failed. */
export async function guarded(body) {
  const cleanup = new Cleanup();
  const shown = {};
  try {
    await body(cleanup, shown);
  } catch (error) {
    if (shown.server) console.error(`the end of the server's log:\n${shown.server.logTail()}`);
    throw error;
  } finally {
    await cleanup.run();
  }
}
