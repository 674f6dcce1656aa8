// Every event and acknowledgement that a test sees, against the AsyncAPI document; a field that is not there is wrong, too.
import { readFileSync } from 'node:fs';
import Ajv2020 from 'ajv/dist/2020.js';

const document = JSON.parse(readFileSync(new URL('../../../docs/api/asyncapi.json', import.meta.url), 'utf8'));

/** Objects have no other fields than those that are described. */
function closed(schema) {
  if (Array.isArray(schema)) return schema.map(closed);
  if (schema === null || typeof schema !== 'object') return schema;
  const copy = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
  return copy.properties && copy.type === 'object' ? { additionalProperties: false, ...copy } : copy;
}

const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
ajv.addSchema({ $id: 'asyncapi', ...closed({ components: document.components }) });
const validators = new Map();

/** The names of the events that the document has with this action. */
export const events = (action) =>
  Object.entries(document.operations).flatMap(([name, operation]) => (operation.action === action ? [name] : []));

function validator(message) {
  if (!document.components.messages[message]) throw new Error(`not in the AsyncAPI document: ${message}`);
  if (!validators.has(message)) {
    validators.set(message, ajv.compile({ $ref: `asyncapi#/components/messages/${message}/payload` }));
  }
  return validators.get(message);
}

/** Throws where a payload is not what the document says of this message. */
export function assertDocumented(message, payload) {
  const valid = validator(message);
  if (!valid(payload)) {
    throw new Error(`${message} is not as documented: ${ajv.errorsText(valid.errors)}: ${JSON.stringify(payload)}`);
  }
}

/** The same for the acknowledgement of an event that is known; of others it is a failure. */
export function assertAckDocumented(event, ack) {
  const known = document.components.messages[`${event}_ack`];
  if (known) assertDocumented(`${event}_ack`, ack);
}
