import { setTimeout as sleep } from 'node:timers/promises';

/** Far beyond what a loaded machine needs after a crash; a healthy run never waits for it. */
export const RECOVERY_MS = 60_000;

/** Waits until `holds()`; what it waits for is counters that sockets move, so there is no event to hang on to. */
export async function until(what, holds, limitMs = RECOVERY_MS) {
  const end = Date.now() + limitMs;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`not within ${limitMs} ms: ${typeof what === 'function' ? what() : what}`);
    await sleep(20);
  }
}

/** A generator of numbers from 0 to 1 that repeats itself for the same seed, so that a bad run can be run again. */
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    // Mulberry32: small, and good enough to scatter kills over time.
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** Collects what can be ended, and ends it in reverse order whatever happened before. */
export class Cleanup {
  #steps = [];

  add(step) {
    this.#steps.push(step);
  }

  async run() {
    const failures = [];
    for (const step of this.#steps.reverse()) {
      try {
        await step();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'cleaning up failed');
  }
}
