// Stock Socket.IO clients, over each way to connect.
import { once } from 'node:events';
import { io } from 'socket.io-client';
import { assertAckDocumented, assertDocumented } from './reference.js';
import { EVENT_LIMIT_MS, Inbox, within } from './wait.js';

/** The three ways a stock client reaches the server. `upgrade` is what it does when told nothing. */
export const MODES = {
  websocket: ['websocket'],
  polling: ['polling'],
  upgrade: ['polling', 'websocket'],
};

const open = new Set();

/** A client that is connecting. It never reconnects by itself: a lost connection has to show in the test. */
export function client(server, { auth, mode = 'websocket', path = '', ...options } = {}) {
  const transports = MODES[mode];
  const socket = io(server.url + path, { auth, transports, forceNew: true, reconnection: false, ...options });
  open.add(socket);
  // Thrown where nobody catches it, so that the test fails that saw it.
  socket.onAny((event, payload) => assertDocumented(event, payload));
  return socket;
}

/** A connected client of `user`. In the mode `upgrade` the change of transport is still under way. */
export async function connect(server, user, mode = 'websocket') {
  const socket = client(server, { auth: { token: user.token }, mode });
  await connected(socket);
  return socket;
}

export async function connected(socket) {
  if (socket.connected) return;
  const refusal = once(socket, 'connect_error').then(([{ message, description, context }]) => {
    // The client's own message does not say what the server answered.
    const answer = context?.responseText || description?.message || description || '';
    throw new Error(`${message}: ${answer}`);
  });
  await within(Promise.race([once(socket, 'connect'), refusal]), 'connection');
}

/** The error of a client that has to be refused. */
export async function refusal(socket) {
  const success = once(socket, 'connect').then(() => {
    throw new Error('connected, though it had to be refused');
  });
  const [error] = await within(Promise.race([once(socket, 'connect_error'), success]), 'connect_error');
  return error;
}

/** Settles when a client in the mode `upgrade` has changed to WebSocket. */
export async function upgraded(socket) {
  const { engine } = socket.io;
  if (engine.transport.name !== 'websocket') await within(once(engine, 'upgrade'), 'upgrade');
}

/** Emits with an acknowledgement function; what it was called with. */
export async function ask(socket, event, ...args) {
  const ack = await socket.timeout(EVENT_LIMIT_MS).emitWithAck(event, ...args);
  assertAckDocumented(event, ack);
  return ack;
}

/** A socket whose answers are lost: what is asked is sent, and has no answer when `sent` settles. */
export function deaf(socket, sent) {
  const emitWithAck = async (...args) => {
    socket.emit(...args);
    await sent();
    throw new Error('operation has timed out');
  };
  return { timeout: () => ({ emitWithAck }) };
}

/** Joins, and fails where that is refused. */
export async function join(socket, conversation) {
  const ack = await ask(socket, 'join_conversation', conversation);
  if (!ack.success) throw new Error(`join refused: ${ack.message}`);
  return ack;
}

/** Sends, and fails where that is refused; the stored message. */
export async function send(socket, conversation, text) {
  const ack = await ask(socket, 'send_message', { conversation_id: conversation, text });
  if (!ack.success) throw new Error(`send refused: ${ack.message}`);
  return ack.data;
}

/** All payloads of `event` from now on. */
export function inbox(socket, event) {
  const received = new Inbox(event);
  socket.on(event, (payload) => received.push(payload));
  return received;
}

/** Settles when the connection has ended, with the reason the client gives. */
export async function disconnected(socket) {
  if (!socket.connected) return undefined;
  const [reason] = await within(once(socket, 'disconnect'), 'disconnect');
  return reason;
}

export function closeClients() {
  for (const socket of open) socket.io.engine?.close();
  for (const socket of open) socket.disconnect();
  open.clear();
}
