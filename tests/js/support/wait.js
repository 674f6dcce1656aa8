// Waiting for what is about to happen: tests wait for events, and a limit only says how long a slow machine may take.

export const EVENT_LIMIT_MS = 30_000;

/** Settles as `promise` does, or fails naming `what` after `limit` milliseconds. */
export async function within(promise, what, limit = EVENT_LIMIT_MS) {
  let timer;
  const expiry = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} within ${limit} ms`)), limit);
  });
  try {
    return await Promise.race([promise, expiry]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks `probe` again and again until it answers something truthy; for state that announces itself by no event. */
export async function eventually(probe, what, { limit = EVENT_LIMIT_MS, every = 100 } = {}) {
  const end = Date.now() + limit;
  let last;
  for (;;) {
    last = await probe();
    if (last) return last;
    if (Date.now() > end) throw new Error(`not within ${limit} ms: ${typeof what === 'function' ? what() : what}`);
    await new Promise((resolve) => setTimeout(resolve, every));
  }
}

/** What has arrived on one channel, in order, and the wish for more. */
export class Inbox {
  #name;
  #items = [];
  #changed = new Set();

  constructor(name) {
    this.#name = name;
  }

  push(item) {
    this.#items.push(item);
    for (const look of [...this.#changed]) look();
  }

  /** Everything so far, oldest first. */
  get all() {
    return this.#items;
  }

  /** The first `n` items, once there are that many. */
  async count(n, limit = EVENT_LIMIT_MS) {
    await this.#until(() => this.#items.length >= n, `${n} × ${this.#name}`, limit);
    return this.#items.slice(0, n);
  }

  /** The first item that satisfies `wanted`, arrived already or still to come. */
  async find(wanted, limit = EVENT_LIMIT_MS) {
    await this.#until(() => this.#items.some(wanted), `fitting ${this.#name}`, limit);
    return this.#items.find(wanted);
  }

  #until(done, what, limit) {
    if (done()) return Promise.resolve();
    let look;
    const arrived = new Promise((resolve) => {
      look = () => done() && resolve();
      this.#changed.add(look);
    });
    return within(arrived, what, limit)
      .catch((error) => {
        const tail = JSON.stringify(this.#items.slice(-3))?.slice(0, 600);
        throw new Error(`${error.message}; ${this.#items.length} arrived, the last: ${tail}`);
      })
      .finally(() => this.#changed.delete(look));
  }
}
