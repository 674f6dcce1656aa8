// Who types: told to the other side while this user does, and shown while the other one does.

/** @import { Connection } from './connection.js' */

/** The server forgets a typist after 6 s of silence. */
const TELL_EVERY_MS = 3_000;
/** Longer than the server's: whoever's end was missed stops all the same. */
const FORGET_MS = 7_000;

/** Tells that this user types in a conversation. */
export class Typist {
  /** @type {Connection['socket']} */
  #socket;
  #conversation;
  #told = 0;

  constructor(socket, conversation) {
    this.#socket = socket;
    this.#conversation = conversation;
  }

  pressed() {
    if (Date.now() - this.#told < TELL_EVERY_MS) return;
    this.#told = Date.now();
    this.#socket.volatile.emit('typing', this.#conversation);
  }

  stopped() {
    if (this.#told === 0) return;
    this.#told = 0;
    this.#socket.volatile.emit('stop_typing', this.#conversation);
  }
}

/**
 * Calls `show(conversation, whether)` when others begin and end; this user's other windows are told of, too.
 * @param {Connection['socket']} socket
 */
export function watchTyping(socket, me, show) {
  const timers = new Map();
  const end = (conversation) => {
    clearTimeout(timers.get(conversation));
    if (timers.delete(conversation)) show(conversation, false);
  };
  socket.on('user_typing', ({ conversation_id: conversation, userId }) => {
    if (userId === me) return;
    clearTimeout(timers.get(conversation));
    timers.set(conversation, setTimeout(end, FORGET_MS, conversation));
    show(conversation, true);
  });
  socket.on('user_stop_typing', ({ conversation_id: conversation, userId }) => userId !== me && end(conversation));
  socket.on('disconnect', () => [...timers.keys()].forEach(end));
}
