// The REST side, by plain fetch, and what its answers have to look like.
import assert from 'node:assert/strict';

const ANSWER_LIMIT_MS = 30_000;

/** One call; `body` is sent as JSON, `raw` as it is. `body` of the answer is undefined where that was not JSON. */
export async function call(server, method, path, { token, body, raw, headers = {} } = {}) {
  const sent = { ...headers };
  if (token !== undefined) sent.authorization = `Bearer ${token}`;
  if (body !== undefined) sent['content-type'] ??= 'application/json';
  const response = await fetch(server.url + path, {
    method,
    headers: sent,
    body: body === undefined ? raw : JSON.stringify(body),
    duplex: raw instanceof ReadableStream ? 'half' : undefined,
    signal: AbortSignal.timeout(ANSWER_LIMIT_MS),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, body: parsed(text) };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** JSON to send that `JSON.stringify` cannot make. */
export const rawJson = (raw) => ({ raw, headers: { 'content-type': 'application/json' } });

/** `data` of an answer that has to be a success of the given status. */
export function succeeded(reply, status = 200) {
  assert.equal(reply.status, status, reply.text);
  assert.equal(reply.body?.success, true, reply.text);
  assert.match(reply.headers.get('content-type'), /^application\/json/);
  return reply.body.data;
}

/** A refusal in the contract's shape; `message` may be a text, a pattern, or left open. */
export function refused(reply, status, code, message) {
  assert.equal(reply.status, status, reply.text);
  assert.match(reply.headers.get('content-type') ?? '', /^application\/json/, reply.text);
  assertFailure(reply.body, code, message);
}

/** The shape of every failure, in a REST body as in an ack. */
export function assertFailure(failure, code, message) {
  const shown = JSON.stringify(failure);
  assert.equal(failure?.success, false, shown);
  assert.equal(typeof failure.message, 'string', shown);
  assert.notEqual(failure.message, '', shown);
  assert.ok(!('data' in failure), shown);
  if (code !== undefined) assert.equal(failure.code, code, shown);
  if (typeof message === 'string') assert.equal(failure.message, message);
  if (message instanceof RegExp) assert.match(failure.message, message);
}
