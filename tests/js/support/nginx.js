// nginx with the configuration of docs/deploy, in front of a server.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { once } from 'node:events';
import { makeDataDir, removeDataDir } from './server.js';
import { eventually, within } from './wait.js';

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');

/** Where nginx is; null where it is not, and cannot be fetched. */
function program() {
  try {
    return execFileSync(join(ROOT, 'scripts/unpacked.sh'), ['nginx', 'usr/sbin/nginx'], { encoding: 'utf8' }).trim();
  } catch {
    return null;
  }
}

async function freePort() {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address();
  listener.close();
  return port;
}

/** What the file says, with this test's places; each has to be in it. */
function configuration(dir, port, server) {
  const replace = (text, from, to) => {
    if (!text.includes(from)) throw new Error(`docs/deploy/nginx.conf has no ${from}`);
    return text.replaceAll(from, to);
  };
  const places = [
    ['listen 443 ssl', `listen 127.0.0.1:${port} ssl`],
    ['server 127.0.0.1:3000', `server ${new URL(server.url).host}`],
    ['/etc/ssl/chat.example.com.pem', join(dir, 'certificate.pem')],
    ['/etc/ssl/private/chat.example.com.key', join(dir, 'key.pem')],
  ];
  return places.reduce((text, [from, to]) => replace(text, from, to), readFileSync(join(ROOT, 'docs/deploy/nginx.conf'), 'utf8'));
}

/** Starts it in front of a server; null where there is no nginx. The caller stops it. */
export async function startNginx(server) {
  const nginx = program();
  if (nginx === null) return null;
  const dir = makeDataDir();
  const port = await freePort();
  const openssl = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'];
  const names = ['-subj', '/CN=localhost', '-keyout', join(dir, 'key.pem'), '-out', join(dir, 'certificate.pem')];
  execFileSync('openssl', [...openssl, ...names], { stdio: 'ignore' });
  writeFileSync(join(dir, 'chat.conf'), configuration(dir, port, server));
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => {
    mkdirSync(join(dir, kind));
    return `${kind}_temp_path ${join(dir, kind)};`;
  });
  writeFileSync(join(dir, 'nginx.conf'), `
    daemon off; master_process off; pid ${join(dir, 'nginx.pid')}; error_log stderr;
    events { worker_connections 512; }
    http { access_log off; ${temporary.join(' ')} include ${join(dir, 'chat.conf')}; }
  `);
  const child = spawn(nginx, ['-p', dir, '-c', join(dir, 'nginx.conf'), '-e', 'stderr'], { stdio: ['ignore', 'ignore', 'pipe'] });
  const log = [];
  child.stderr.on('data', (text) => log.push(text));
  const ended = once(child, 'exit');
  const stop = async () => {
    child.kill('SIGTERM');
    await within(ended, 'end of nginx');
    await removeDataDir(dir);
  };
  const listens = () => fetchStatus(port).then((status) => status === 200, () => false);
  try {
    await eventually(listens, 'nginx that listens');
  } catch (error) {
    await stop();
    throw new Error(`${error.message}\n${log.join('')}`);
  }
  return { url: `https://127.0.0.1:${port}`, port, stop };
}

/** The status of a call from an address of this machine. */
export async function fetchStatus(port, path = '/health', options = {}) {
  const { request } = await import('node:https');
  const call = request({ host: '127.0.0.1', port, path, rejectUnauthorized: false, agent: false, ...options });
  call.end();
  const [answer] = await within(once(call, 'response'), 'an answer');
  answer.resume();
  return answer.statusCode;
}
