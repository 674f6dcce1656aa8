// A network that fails when told to: a TCP relay between clients and a server.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

const open = new Set();
/** What gets through a narrow network, and how often. */
const DROP_BYTES = 16;
const DROP_MS = 2;

export class Relay {
  #listener = createServer((client) => this.#carry(client));
  #pairs = new Set();
  #isUp = true;
  #stalled = new Set();
  #held = [];
  #dripping = null;

  /** A relay to `server`, on a free port. */
  static async to(server) {
    const relay = new Relay();
    relay.target = server.port;
    relay.#listener.listen(0, '127.0.0.1');
    await once(relay.#listener, 'listening');
    relay.port = relay.#listener.address().port;
    relay.url = `http://127.0.0.1:${relay.port}`;
    open.add(relay);
    return relay;
  }

  #carry(client) {
    if (!this.#isUp) return client.resetAndDestroy();
    const server = connect(this.target, '127.0.0.1');
    const pair = [client, server];
    this.#pairs.add(pair);
    for (const [from, to] of [pair, [server, client]]) {
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => this.#pairs.delete(pair) && to.destroy());
    }
    return undefined;
  }

  /** All connections break, and no new one comes through until [up]. */
  down() {
    this.#isUp = false;
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
  }

  up() {
    this.#isUp = true;
  }

  /** Nothing passes on the present connections any more, and neither side is told. */
  stall() {
    for (const [client, server] of this.#pairs) {
      for (const socket of [client, server]) {
        socket.unpipe();
        socket.removeAllListeners('close');
        socket.on('close', () => {});
        socket.resume();
        this.#stalled.add(socket);
        socket.on('close', () => this.#stalled.delete(socket));
      }
    }
    this.#pairs.clear();
  }

  /** The connections that are stalled end: what is left of them is told. */
  endStalled() {
    for (const socket of this.#stalled) socket.destroy();
  }

  /** Nothing passes until [release], and nothing is lost: windows fill up and stay closed. */
  hold() {
    this.#held = [...this.#pairs];
    for (const [client, server] of this.#held) for (const socket of [client, server]) socket.unpipe();
  }

  /** A few bytes at a time get through until [release]: each side sees an almost closed window, and packets in pieces. */
  narrow() {
    this.hold();
    this.#dripping = setInterval(() => {
      for (const [client, server] of this.#held) {
        drip(client, server);
        drip(server, client);
      }
    }, DROP_MS);
  }

  release() {
    clearInterval(this.#dripping);
    for (const [client, server] of this.#held) {
      client.pipe(server);
      server.pipe(client);
    }
    this.#held = [];
  }

  close() {
    this.down();
    this.endStalled();
    clearInterval(this.#dripping);
    this.#listener.close();
    open.delete(this);
  }
}

function drip(from, to) {
  const drop = from.read(Math.min(DROP_BYTES, from.readableLength || 1));
  if (drop && to.writable) to.write(drop);
}

export function closeRelays() {
  for (const relay of open) relay.close();
}
