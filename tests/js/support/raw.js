// Engine.IO by hand, for what a stock client never sends.
import assert from 'node:assert/strict';
import WebSocket from 'ws';
import { Inbox, within } from './wait.js';

export const SEPARATOR = '\x1e';

/** What a `RawWebSocket` puts behind its last frame. */
export const CLOSED = 'closed';

const PATH = '/socket.io/?EIO=4';

/** A CONNECT packet for the default namespace. */
export const connectPacket = (user) => `40${JSON.stringify({ token: user.token })}`;

/** An event packet, with an ack id where one is given. */
export const eventPacket = (id, ...args) => `42${id ?? ''}${JSON.stringify(args)}`;

/** What an ack packet carries. */
export const ackOf = (packet) => JSON.parse(packet.slice(packet.indexOf('[')))[0];

export const isAck = (id) => (packet) => typeof packet === 'string' && packet.startsWith(`43${id}[`);

/** A bare WebSocket; `frames` are all it was sent, text as strings and binary as buffers. */
export class RawWebSocket {
  constructor(url, options) {
    this.frames = new Inbox('frame');
    this.socket = new WebSocket(url, options);
    this.closed = new Promise((done) => this.socket.once('close', done));
    this.closed.then(() => this.frames.push(CLOSED));
    this.socket.on('message', (bytes, binary) => this.frames.push(binary ? bytes : bytes.toString()));
    // An error is followed by `close`, which is what the tests look at.
    this.socket.on('error', () => {});
  }

  /** The open Engine.IO connection; its handshake is in `handshake`. */
  static async open(server, { query = '&transport=websocket', ...options } = {}) {
    const raw = new RawWebSocket(server.webSocketUrl + PATH + query, { perMessageDeflate: false, ...options });
    const [first] = await raw.frames.count(1);
    assert.equal(first[0], '0', `the first packet is the handshake, not ${first}`);
    raw.handshake = JSON.parse(first.slice(1));
    return raw;
  }

  /** Open, and connected to the default namespace as `user`. */
  static async connect(server, user) {
    const raw = await RawWebSocket.open(server);
    raw.send(connectPacket(user));
    const reply = await raw.frames.find((frame) => frame.startsWith('4'));
    assert.match(reply, /^40\{/);
    return raw;
  }

  send(frame, options) {
    this.socket.send(frame, options);
  }

  /** Sends an event and waits for its ack. */
  async ask(id, ...args) {
    this.send(eventPacket(id, ...args));
    return ackOf(await this.frames.find(isAck(id)));
  }

  ended() {
    return within(this.closed, 'end of the WebSocket');
  }

  /** The first frame that satisfies `wanted`, or `CLOSED` where the connection ended without it. */
  answer(wanted) {
    return this.frames.find((frame) => frame === CLOSED || wanted(frame));
  }

  /** Without a closing handshake, as when a phone loses its network. */
  drop() {
    this.socket.terminate();
  }
}

/** Upgrades that have to be refused: the HTTP status of the refusal, or `closed` where it came after the upgrade. */
export async function refusedUpgrade(server, query, options = {}) {
  const socket = new WebSocket(`${server.webSocketUrl}${query}`, options);
  const answer = new Promise((answered) => {
    socket.once('message', (bytes) => answered(`open: ${bytes}`));
    socket.once('unexpected-response', (_, { statusCode }) => answered(statusCode));
    socket.once('close', () => answered('closed'));
    // An error is followed by `close`.
    socket.on('error', () => {});
  });
  try {
    return await within(answer, 'answer to the upgrade');
  } finally {
    socket.terminate();
  }
}

/** A long-polling session. */
export class RawPolling {
  constructor(server, headers) {
    this.url = `${server.url}${PATH}&transport=polling`;
    this.headers = headers;
  }

  static async open(server, headers = {}) {
    const raw = new RawPolling(server, headers);
    const [first, ...rest] = await raw.poll();
    assert.equal(first[0], '0');
    assert.deepEqual(rest, [], 'the handshake comes alone');
    raw.handshake = JSON.parse(first.slice(1));
    raw.url += `&sid=${raw.handshake.sid}`;
    return raw;
  }

  static async connect(server, user) {
    const raw = await RawPolling.open(server);
    assert.equal((await raw.post(connectPacket(user))).status, 200);
    const packets = await raw.poll();
    assert.match(packets[0], /^40\{/);
    return raw;
  }

  get(signal) {
    return fetch(this.url, { headers: this.headers, signal });
  }

  /** The packets of one poll. */
  async poll(limit) {
    const response = await within(this.get(), 'answer to the poll', limit);
    const text = await response.text();
    assert.equal(response.status, 200, text);
    return text.split(SEPARATOR);
  }

  /** Polls until a packet satisfies `wanted`. */
  async pollFor(wanted) {
    for (;;) {
      const packet = (await this.poll()).find(wanted);
      if (packet !== undefined) return packet;
    }
  }

  async post(body) {
    const headers = { 'content-type': 'text/plain;charset=UTF-8', ...this.headers };
    const response = await fetch(this.url, { method: 'POST', headers, body });
    await response.arrayBuffer();
    return response;
  }

  async ask(id, ...args) {
    assert.equal((await this.post(eventPacket(id, ...args))).status, 200);
    return ackOf(await this.pollFor(isAck(id)));
  }

  /** Whether the session is over: by a closing packet, a noop of a session being closed, or its sid unknown. */
  async ended() {
    for (;;) {
      const response = await within(this.get(), 'answer to the poll');
      const packets = (await response.text()).split(SEPARATOR);
      if (response.status === 400 || packets.includes('1')) return true;
      assert.equal(response.status, 200);
    }
  }
}
