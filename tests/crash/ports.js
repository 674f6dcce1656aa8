import { createServer } from 'node:net';

// Below what the kernel hands out to clients: while the server is down, a reconnecting client must not be given the
// server's own port as its local one.
const LOWEST = 20_000;
const HIGHEST = 32_000;

/** A free loopback port that stays free of outgoing connections. */
export async function stablePort() {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST));
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port between ${LOWEST} and ${HIGHEST}`);
}

function isFree(port) {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
