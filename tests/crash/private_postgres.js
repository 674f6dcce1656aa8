import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { until } from './events.js';

/** Ends the Postgres which a killed server left behind; a server that stopped in order has taken it along. */
export async function endPrivatePostgres(server) {
  const pidFile = path.join(server.dataDir, 'postgres/postmaster.pid');
  if (!existsSync(pidFile)) return;
  try {
    process.kill(Number(readFileSync(pidFile, 'utf8').split('\n')[0]), 'SIGQUIT');
  } catch {
    // It is dead already, and its file is what a crash leaves.
    return;
  }
  // Its last deed is to take the file away. Its number may stay, where nobody waits for orphans.
  await until('the private Postgres ends', () => !existsSync(pidFile));
}
