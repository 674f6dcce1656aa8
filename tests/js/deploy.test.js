// Containers, docs/deploy: what can be told of the Dockerfile and of compose.yaml where there is no Docker to build and run them.
import { after, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { BINARY, serverForFile } from './support/server.js';
import { eventually } from './support/wait.js';

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const read = (path) => readFileSync(join(ROOT, path), 'utf8');
const runs = (program, ...args) => spawnSync(program, args).status === 0;

/** The Dockerfile's instructions, each in one line. */
const instructions = read('docs/deploy/Dockerfile').replace(/^#.*\n/gm, '').replace(/\\\n\s*/g, '').split('\n');
const all = (name) => instructions.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1));

/** What comes from this repository. */
const copied = all('COPY').filter((rest) => !rest.startsWith('--from')).flatMap((rest) => rest.split(' ').slice(0, -1));

const { services, volumes } = parse(read('docs/deploy/compose.yaml'));
const { chat, postgres } = services;

/** The variables of an environment with what `docs/deploy/.env` is to have. */
const filled = (environment) => {
  const fill = (text) => String(text).replace(/\$\{\w+:\?[^}]*\}/g, 'f'.repeat(64)).replace(/\$\{\w+:-\}/g, '');
  return Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, fill(value)]));
};
const imageEnvironment = Object.fromEntries(all('ENV').flatMap((rest) => rest.split(' ')).map((pair) => pair.split('=')));

const seconds = (time) => Number(/^(\d+)s$/.exec(time)[1]);

describe('the image', () => {
  test('is built with the Rust that the manifest asks for', () => {
    const [, wanted] = /^rust-version = "(.*)"$/m.exec(read('Cargo.toml'));
    assert.match(all('FROM')[0], new RegExp(`^rust:${wanted.replace('.', '\\.')}-`));
  });

  test('is built of what is there, and is not ignored', () => {
    const kept = read('.dockerignore').split('\n').filter((line) => line.startsWith('!')).map((line) => line.slice(1));
    assert.deepEqual(copied.filter((path) => !existsSync(join(ROOT, path))), []);
    assert.deepEqual(copied.toSorted(), kept.toSorted(), 'the Dockerfile and .dockerignore');
  });

  test('is built of all that the manifests name', { skip: !runs('cargo', '--version') && 'there is no cargo' }, () => {
    const source = mkdtempSync(join(tmpdir(), 'ht-image-'));
    after(() => rmSync(source, { recursive: true }));
    for (const path of copied) cpSync(join(ROOT, path), join(source, path), { recursive: true });
    execFileSync('cargo', ['metadata', '--no-deps', '--offline', '--locked', '--format-version', '1'], { cwd: source });
  });

  test('has a user of its own', () => {
    assert.match(all('USER').at(-1), /^[1-9]\d*:[1-9]\d*$/);
  });

  test('tells a server that answers from one that stops', async () => {
    const [, command] = /CMD (\[.*\])$/.exec(all('HEALTHCHECK')[0]);
    const server = await serverForFile();
    const isHealthy = () => {
      const [program, ...args] = JSON.parse(command);
      return spawnSync(program, args, { env: { PATH: process.env.PATH, PORT: String(server.port) } }).status === 0;
    };
    assert.ok(isHealthy());
    server.signal('SIGTERM');
    await eventually(() => !isHealthy(), 'a check that fails');
  });
});

describe('the settings', () => {
  const help = execFileSync(BINARY, ['serve', '--help'], { encoding: 'utf8', env: {} });
  const known = new Set([...help.matchAll(/\[env:\s+(\w+)/g)].map(([, name]) => name));
  const unit = [...read('docs/deploy/horsetrust-chat.service').matchAll(/^Environment=(.*)$/gm)];
  const ofUnit = Object.fromEntries(unit.flatMap(([, pairs]) => pairs.split(' ')).map((pair) => pair.split('=')));

  test('are there', () => {
    for (const environment of [chat.environment, imageEnvironment, ofUnit]) {
      assert.ok(Object.keys(environment).length > 0);
      assert.deepEqual(Object.keys(environment).filter((name) => !known.has(name)), []);
    }
  });

  test('would be taken by the server', () => {
    const env = { ...imageEnvironment, ...filled(chat.environment) };
    const shown = execFileSync(BINARY, ['serve', '--check-config'], { encoding: 'utf8', env, cwd: tmpdir() });
    assert.match(shown, /^host = "0\.0\.0\.0"$/m);
    assert.match(shown, /^database_url = "postgres:\/\/horsetrust:\*+@postgres:5432\/horsetrust"$/m);
  });

  test('leave a stop the time that it may take', () => {
    assert.ok(seconds(chat.stop_grace_period) > Number(chat.environment.STOP_SECONDS));
    const [, longest] = /^TimeoutStopSec=(.*)$/m.exec(read('docs/deploy/horsetrust-chat.service'));
    assert.ok(seconds(longest) > Number(ofUnit.STOP_SECONDS));
  });
});

describe('the services', () => {
  test('fit together: the image, its port, and the database that the server is given', () => {
    assert.equal(resolve(ROOT, 'docs/deploy', chat.build.context), ROOT);
    assert.ok(existsSync(join(ROOT, chat.build.dockerfile)));
    assert.deepEqual(all('EXPOSE'), [imageEnvironment.PORT]);
    assert.ok(chat.ports.every((port) => port.endsWith(`:${imageEnvironment.PORT}`)));
    const { username, password, hostname, pathname } = new URL(filled(chat.environment).DATABASE_URL);
    const { POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB } = filled(postgres.environment);
    assert.deepEqual([username, password, pathname], [POSTGRES_USER, POSTGRES_PASSWORD, `/${POSTGRES_DB}`]);
    assert.ok(hostname in services && hostname in chat.depends_on);
  });

  test('lose nothing: Postgres is durable, and its files are in a volume', () => {
    for (const name of ['fsync', 'full_page_writes', 'synchronous_commit']) {
      assert.ok(postgres.command.includes(`-c ${name}=on`), name);
    }
    const [volume, path] = postgres.volumes[0].split(':');
    assert.ok(volume in volumes);
    assert.equal(path, '/var/lib/postgresql/data');
  });

  const hasCompose = runs('docker', 'compose', 'version');
  test('are what Docker Compose understands', { skip: !hasCompose && 'there is no Docker Compose' }, () => {
    const env = { PATH: process.env.PATH, JWT_SECRET: 'f'.repeat(64), POSTGRES_PASSWORD: 'f'.repeat(64) };
    execFileSync('docker', ['compose', '-f', join(ROOT, 'docs/deploy/compose.yaml'), 'config', '--quiet'], { env });
  });
});
