import { spawn } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { stablePort } from './ports.js';

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
const BINARY = process.env.HORSETRUST_CHAT_BIN ?? path.join(REPOSITORY, 'target/debug/horsetrust-chat');
const SECRET = 'a secret of the crash tests, long enough for HS256';
/** Set by whoever runs the tests, they would reach the server under test. */
const INHERITED = ['CHAT_PAGE', 'CONFIG_FILE', 'CORS_ORIGINS', 'DATABASE_URL', 'DATA_DIR', 'HOST', 'PORT', 'WORKERS'];
const START_MS = 60_000;
/** libfaketime, which shows a process another time than there is; where distributions keep it. */
const FAKETIME = ['/usr/lib', '/usr/lib64', ...folders('/usr/lib').filter((name) => name.endsWith('-linux-gnu'))]
  .map((folder) => path.join(folder, 'faketime/libfaketimeMT.so.1'))
  .find(existsSync);
const STOP_MS = 30_000;

export function newId() {
  return randomBytes(12).toString('hex');
}

export function token(userId, role = 'seller') {
  const now = Math.floor(Date.now() / 1000);
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ userId, role, iat: now, exp: now + 86_400 })}`;
  return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`;
}

/** The server process: started again and again on one port and one data directory. */
export class ChatServer {
  #child = null;

  static async create(directory, databaseUrl) {
    const server = new ChatServer();
    server.port = await stablePort();
    server.url = `http://127.0.0.1:${server.port}`;
    server.dataDir = path.join(directory, 'data');
    server.logFile = path.join(directory, 'server.log');
    server.databaseUrl = databaseUrl;
    server.clockFile = path.join(directory, 'clock');
    return server;
  }

  /** Whether [stepClock] has an effect. */
  get hasOwnClock() {
    return FAKETIME !== undefined;
  }

  /** The server's clock is so many seconds before or behind the machine's, within a second. Timers go on as they were. */
  stepClock(seconds) {
    // In one step: half of a number would be a step of its own.
    writeFileSync(`${this.clockFile}.new`, `${seconds < 0 ? '' : '+'}${seconds}`);
    renameSync(`${this.clockFile}.new`, this.clockFile);
  }

  async start() {
    const env = { ...process.env, JWT_SECRET: SECRET };
    for (const name of INHERITED) delete env[name];
    // Two, so that what crosses from worker to worker is tested on every machine.
    env.WORKERS = '2';
    // As much as the clients send.
    for (const rate of ['RATE_SENDS', 'RATE_TYPING', 'RATE_JOINS', 'RATE_REST']) env[rate] = '0';
    if (this.databaseUrl) env.DATABASE_URL = this.databaseUrl;
    if (existsSync(this.clockFile)) Object.assign(env, ownClock(this.clockFile));
    const log = openSync(this.logFile, 'a');
    const child = spawn(BINARY, ['serve', '--port', String(this.port), '--data-dir', this.dataDir], {
      env,
      stdio: ['ignore', 'pipe', log],
    });
    closeSync(log);
    this.#child = child;
    child.exited = once(child, 'exit');
    const line = await firstLine(child);
    if (line !== `horsetrust-chat listening on ${this.url}`) {
      child.kill('SIGKILL');
      throw new Error(`the server did not start: ${JSON.stringify(line)}\n${this.logTail()}`);
    }
    // A full pipe would stop the server.
    child.stdout.resume();
  }

  /** Stops and goes on: nothing of it runs in between. */
  async freeze(milliseconds) {
    this.#child.kill('SIGSTOP');
    await sleep(milliseconds);
    this.#child.kill('SIGCONT');
  }

  async kill() {
    this.#child.kill('SIGKILL');
    await this.#child.exited;
  }

  async stop() {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    const stopped = await Promise.race([child.exited, sleep(STOP_MS, null, { ref: false })]);
    if (stopped === null) {
      child.kill('SIGKILL');
      await child.exited;
      throw new Error(`the server did not stop within ${STOP_MS} ms of SIGTERM\n${this.logTail()}`);
    }
  }

  logTail() {
    return readFileSync(this.logFile, 'utf8').slice(-4000);
  }

  async rest(method, route, bearer, body) {
    const reply = await fetch(this.url + route, {
      method,
      headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(START_MS),
    });
    const answer = await reply.json();
    if (!answer.success) throw new Error(`${method} ${route}: ${reply.status} ${JSON.stringify(answer)}`);
    return answer.data;
  }

  /** A new user with a profile. */
  async person(name) {
    const id = newId();
    await this.rest('PUT', `/api/chat/users/${id}`, token(newId(), 'admin'), { full_name: name });
    return { id, token: token(id) };
  }

  /** A conversation of these two. */
  async conversation(one, other) {
    const data = await this.rest('POST', '/api/chat/conversations', one.token, { recipient_id: other.id });
    return data._id;
  }
}

function folders(parent) {
  return existsSync(parent) ? readdirSync(parent).map((name) => path.join(parent, name)) : [];
}

function ownClock(file) {
  return {
    LD_PRELOAD: FAKETIME,
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_CACHE_DURATION: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    FAKETIME_DONT_RESET: '1',
    NO_FAKE_STAT: '1',
  };
}

async function firstLine(child) {
  const lines = readline.createInterface({ input: child.stdout });
  const timer = setTimeout(() => child.kill('SIGKILL'), START_MS);
  try {
    const [line] = await Promise.race([once(lines, 'line'), once(lines, 'close'), once(child, 'error')]);
    return line;
  } finally {
    clearTimeout(timer);
    lines.close();
  }
}
