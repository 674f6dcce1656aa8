// Clients that come back to their session.
import { once } from 'node:events';
import { client, connected } from './clients.js';
import { within } from './wait.js';

export const COMES_BACK = { reconnection: true, reconnectionDelay: 20, reconnectionDelayMax: 50, randomizationFactor: 0 };

/** A client of `user` that recovers and comes back by itself. */
export async function recoverable(target, user, { mode = 'websocket', ...options } = {}) {
  const auth = { token: user.token, recover: true };
  const socket = client(target, { auth, mode, ...COMES_BACK, ...options });
  await connected(socket);
  return socket;
}

/** Settles at the next connect. */
export const back = (socket) => within(once(socket, 'connect'), 'connect');
