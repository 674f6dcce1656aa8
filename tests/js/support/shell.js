// A shell that a test types into, as whoever reads a page with commands does.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { within } from './wait.js';

/** How long commands may take that wait for a server's restart. */
const COMMANDS_LIMIT_MS = 120_000;

export class Shell {
  #child;
  #printed = '';

  constructor() {
    const { PATH, HOME } = process.env;
    this.#child = spawn('bash', ['--noprofile', '--norc'], { env: { PATH, HOME }, stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.stdout.setEncoding('utf8').on('data', (text) => (this.#printed += text));
  }

  /** Runs commands; the lines that they print, and the exit code of the last one. */
  async run(commands) {
    const end = randomUUID();
    this.#printed = '';
    this.#child.stdin.write(`${commands}\necho ${end} $?\n`);
    while (!this.#printed.includes(end) || !this.#printed.endsWith('\n')) {
      await within(once(this.#child.stdout, 'data'), `end of ${commands}`, COMMANDS_LIMIT_MS);
    }
    const [printed, status] = this.#printed.split(end);
    return { lines: printed.split('\n').filter((line) => line !== ''), status: Number(status) };
  }

  /** Sets a variable to a word. */
  async set(name, word) {
    await this.run(`${name}='${word}'`);
  }

  async close() {
    const ended = once(this.#child, 'exit');
    this.#child.stdin.end();
    await within(ended, 'end of the shell');
  }
}
