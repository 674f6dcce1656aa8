// The built server as a child process on a data directory of its own, and the certainty that nothing of it stays.
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { after } from 'node:test';
import { closeClients } from './clients.js';
import { SECRET } from './tokens.js';
import { eventually, within } from './wait.js';

const PACKAGE = resolve(dirname(fileURLToPath(import.meta.url)), '..');
export const BINARY = resolve(PACKAGE, process.env.HORSETRUST_CHAT_BIN ?? '../../target/debug/horsetrust-chat');

// The first start on an empty directory creates a database cluster.
const READY_LIMIT_MS = 120_000;
const STOP_LIMIT_MS = 30_000;
const READY_LINE = /^horsetrust-chat listening on (http:\/\/127\.0\.0\.1:\d+)$/;

const running = new Set();
const directories = new Set();

/** A fresh data directory; its path is short because it holds a Unix socket, whose path is limited to 107 bytes. */
export function makeDataDir() {
  const dir = mkdtempSync(join(tmpdir(), 'ht-'));
  // As root the database runs as another user, who has to pass through here.
  chmodSync(dir, 0o755);
  directories.add(dir);
  return dir;
}

/** The pid of the private Postgres of `dir` while it is alive, else null. */
export function postmasterPid(dir) {
  try {
    const pid = Number(readFileSync(join(dir, 'postgres', 'postmaster.pid'), 'utf8').split('\n')[0]);
    // A stale pid file may name a process of somebody else by now.
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(dir) && !isZombie(pid) ? pid : null;
  } catch {
    return null;
  }
}

/** Whether a process is only an entry that its parent has not collected. */
function isZombie(pid) {
  return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).startsWith('Z');
}

function signal(pid, name) {
  try {
    process.kill(pid, name);
  } catch {
    // Gone already, which is what was wanted.
  }
}

/** Ends what is left of `dir`'s Postgres and removes the directory. */
export async function removeDataDir(dir) {
  const pid = postmasterPid(dir);
  if (pid) {
    signal(pid, 'SIGQUIT');
    await eventually(() => postmasterPid(dir) === null, `end of postmaster ${pid}`).catch(() => signal(pid, 'SIGKILL'));
  }
  rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
  directories.delete(dir);
}

class Server {
  constructor(child, dir, ownsDir) {
    this.child = child;
    this.dir = dir;
    this.ownsDir = ownsDir;
    this.log = [];
    this.exited = new Promise((done) => child.once('exit', (code, signalName) => done({ code, signal: signalName })));
    this.exited.then(() => running.delete(this));
    createInterface({ input: child.stderr }).on('line', (line) => this.log.push(line));
  }

  get pid() {
    return this.child.pid;
  }

  get alive() {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  get webSocketUrl() {
    return this.url.replace('http', 'ws');
  }

  get port() {
    return Number(new URL(this.url).port);
  }

  signal(name) {
    signal(this.pid, name);
  }

  /** SIGKILL, and the end of the process. */
  async kill() {
    this.signal('SIGKILL');
    return within(this.exited, 'end after SIGKILL');
  }

  /** The planned stop; by force where that takes too long. Whatever happens, nothing of the server stays. */
  async stop() {
    if (this.alive) this.signal('SIGTERM');
    const outcome = await within(this.exited, 'end after SIGTERM', STOP_LIMIT_MS).catch(() => this.kill());
    if (this.ownsDir) await removeDataDir(this.dir);
    return outcome;
  }
}

/** Two workers, so that what crosses from one to the other is tested on every machine. */
function environment(extra) {
  const { PATH, HOME, TMPDIR, LANG } = process.env;
  return { PATH, HOME, TMPDIR, LANG, JWT_SECRET: SECRET, WORKERS: '2', ...extra };
}

/** Starts the server and waits for its ready line. With `dir` the caller keeps (and removes) the directory. */
export async function startServer({ env = {}, dir, port = 0, flags = [] } = {}) {
  const dataDir = dir ?? makeDataDir();
  const child = spawn(BINARY, ['serve', '--port', String(port), '--data-dir', dataDir, ...flags], {
    env: environment(env),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const server = new Server(child, dataDir, dir === undefined);
  running.add(server);
  try {
    server.url = await within(readyUrl(server), 'ready line', READY_LIMIT_MS);
  } catch (error) {
    await server.stop();
    throw new Error(`${error.message}\n${server.log.slice(-20).join('\n')}`);
  }
  return server;
}

function readyUrl({ child, exited }) {
  return new Promise((ready, fail) => {
    child.once('error', fail);
    exited.then(({ code, signal: name }) => fail(new Error(`the server ended with ${code ?? name}, never ready`)));
    createInterface({ input: child.stdout }).once('line', (line) => {
      const match = READY_LINE.exec(line);
      if (match) ready(match[1]);
      else fail(new Error(`not the ready line: ${line}`));
    });
  });
}

/** The one server of a test file: stopped, with all clients, when the file's tests are done. */
export async function serverForFile(options) {
  after(async () => {
    closeClients();
    await server?.stop();
  });
  const server = await startServer(options);
  return server;
}

// The last resort, also when a test run is interrupted: synchronous, because nothing else runs in an exit handler.
process.on('exit', () => {
  for (const { pid } of running) signal(pid, 'SIGKILL');
  for (const dir of directories) {
    const pid = postmasterPid(dir);
    if (pid) signal(pid, 'SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  }
});
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => process.exit(1));
