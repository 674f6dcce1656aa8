// Before Artillery starts: users and conversations by REST, and a row for each virtual user in users.csv.
import { writeFile } from 'node:fs/promises';
import jwt from 'jsonwebtoken';

const fail = (why) => {
  console.error(`setup: ${why}`);
  process.exit(2);
};
const required = (name) => {
  if (process.env[name]) return process.env[name];
  fail(`${name} has to be set`);
};
const URL = required('URL');
const JWT_SECRET = required('JWT_SECRET');
const PAIRS = Number(process.env.PAIRS ?? 100);
const TOKEN_SECONDS = 24 * 3600;

const mint = (userId, role) => jwt.sign({ userId, role }, JWT_SECRET, { algorithm: 'HS256', expiresIn: TOKEN_SECONDS });
/** The same ids every time, so that a second run finds its users and conversations. */
const userId = (number) => `a47111e47000${number.toString(16).padStart(12, '0')}`;

async function call(method, path, token, body) {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const request = fetch(URL + path, { method, headers, body: JSON.stringify(body) });
  const reply = await request.catch((error) => {
    const why = error.cause?.message || error.cause?.code || error.message;
    fail(`cannot reach ${URL}: ${why}; is the server running there?`);
  });
  const answer = await reply.json().catch(() => ({}));
  if (answer.success) return answer.data;
  const advice = reply.status === 401 ? '; is JWT_SECRET that of the server?' : '';
  return fail(`${method} ${path}: ${reply.status} ${answer.message ?? reply.statusText}${advice}`);
}

const admin = mint(userId(0), 'admin');
const rows = [];
for (let pair = 0; pair < PAIRS; pair += 1) {
  const ids = [userId(2 * pair + 1), userId(2 * pair + 2)];
  const tokens = ids.map((id) => mint(id, 'seller'));
  for (const id of ids) await call('PUT', `/api/chat/users/${id}`, admin, { full_name: `Artillery ${id.slice(-4)}` });
  const { _id: conversation } = await call('POST', '/api/chat/conversations', tokens[0], { recipient_id: ids[1] });
  // The two of a pair stand next to each other, so that they come one after the other and meet.
  for (const token of tokens) rows.push(`${token},${conversation}\n`);
}
await writeFile('users.csv', rows.join(''));
console.log(`${PAIRS} pairs are set up`);
