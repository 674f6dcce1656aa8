import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import pg from 'pg';

import { RECOVERY_MS, until } from './events.js';
import { stablePort } from './ports.js';

/** A Postgres of the test's own, which can be killed and started without the server having a say. */
export class Cluster {
  #postmaster = null;
  #kills = 0;

  static async create(directory) {
    const cluster = new Cluster();
    cluster.home = path.join(directory, 'cluster');
    cluster.dataDir = path.join(cluster.home, 'data');
    cluster.logFile = path.join(directory, 'postgres.log');
    cluster.identity = unprivileged();
    cluster.port = await stablePort();
    cluster.url = cluster.urlAt(cluster.port);
    mkdirSync(cluster.home);
    if (cluster.identity.uid !== undefined) chownSync(cluster.home, cluster.identity.uid, cluster.identity.gid);
    const options = ['--auth=trust', '--username=horsetrust', '--encoding=UTF8', '--locale=C', '--no-sync'];
    execFileSync(binary('initdb'), [...options, '-D', cluster.dataDir], {
      ...cluster.identity,
      cwd: cluster.home,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    return cluster;
  }

  /** Where its database is for whoever goes through this port. */
  urlAt(port) {
    return `postgres://horsetrust@127.0.0.1:${port}/horsetrust`;
  }

  /** Starts a postmaster, as often as it takes: right after a kill the old one's backends still hold its memory. */
  async start() {
    await until(
      () => `Postgres starts\n${readFileSync(this.logFile, 'utf8').slice(-2000)}`,
      async () => (await this.#startOnce()) || (await sleep(50, false)),
    );
  }

  async #startOnce() {
    const log = openSync(this.logFile, 'a');
    const options = ['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='];
    const child = spawn(binary('postgres'), ['-D', this.dataDir, '-p', String(this.port), ...options], {
      ...this.identity,
      cwd: this.home,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    child.exited = once(child, 'exit');
    this.#postmaster = child;
    while (child.exitCode === null && child.signalCode === null) {
      if (await answers(this.port)) return true;
      await sleep(20);
    }
    return false;
  }

  async createDatabase() {
    await withDatabase({ host: '127.0.0.1', port: this.port, database: 'postgres' }, (client) =>
      client.query('CREATE DATABASE horsetrust'),
    );
  }

  /**
   * By turns the postmaster only, whose backends find out by themselves, some of them after another commit; and every
   * process at once, some of them in the middle of one.
   */
  async kill() {
    const { pid } = this.#postmaster;
    this.#kills += 1;
    const backends = this.#kills % 2 === 0 ? children(pid) : [];
    this.#postmaster.kill('SIGKILL');
    for (const backend of backends) killIfThere(backend);
    await this.#postmaster.exited;
  }

  async stop() {
    const child = this.#postmaster;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGINT');
    await Promise.race([child.exited, sleep(RECOVERY_MS / 2, null, { ref: false })]);
    child.kill('SIGKILL');
    await child.exited;
  }
}

function children(pid) {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}

function killIfThere(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself meanwhile.
  }
}

async function answers(port) {
  try {
    await withDatabase({ host: '127.0.0.1', port, database: 'postgres' }, (client) => client.query('SELECT 1'));
    return true;
  } catch {
    return false;
  }
}

/** Runs `use` with a connection to the database at `where`. */
export async function withDatabase(where, use) {
  const client = new pg.Client({ user: 'horsetrust', connectionTimeoutMillis: RECOVERY_MS, ...where });
  // An error after the connection is lost has nobody else to go to; the query's own rejection tells the caller.
  client.on('error', () => {});
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

/** Whom Postgres runs as: it refuses root. */
function unprivileged() {
  if (process.getuid() !== 0) return {};
  const entries = readFileSync('/etc/passwd', 'utf8').split('\n').map((line) => line.split(':'));
  const [, , uid, gid] = entries.find(([name]) => name === 'postgres') ?? entries.find(([name]) => name === 'nobody');
  return { uid: Number(uid), gid: Number(gid) };
}

/** A program of Postgres: on the PATH, or where Debian keeps those of each version. */
function binary(name) {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [...process.env.PATH.split(':'), ...versions.map((version) => path.join(debian, version, 'bin'))];
  const folder = folders.find((candidate) => existsSync(path.join(candidate, name)));
  if (!folder) throw new Error(`no ${name} on the PATH or below ${debian}: install the Postgres server`);
  return path.join(folder, name);
}
