// MongoDB's ObjectIds: 24 hex characters on the wire, 12 bytes in Postgres.
import { randomBytes, randomInt } from 'node:crypto';

const HEX = /^[0-9a-f]{24}$/i;
const process5 = randomBytes(5);
let counter = randomInt(0x1000000);

/** Seconds, five random bytes of this process, and a counter: ids of one process sort as they were made. */
export function newId() {
  const id = Buffer.allocUnsafe(12);
  id.writeUInt32BE(Math.floor(Date.now() / 1000), 0);
  process5.copy(id, 4);
  counter = (counter + 1) & 0xffffff;
  id.writeUIntBE(counter, 9, 3);
  return id;
}

/** The id in lower case, or null for what is none. */
export const parseId = (value) => (typeof value === 'string' && HEX.test(value) ? value.toLowerCase() : null);

export const toBytes = (id) => Buffer.from(id, 'hex');
export const toHex = (bytes) => bytes.toString('hex');
