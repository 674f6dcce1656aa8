// Writes ../../docs/api/chat.d.ts: the API's types for TypeScript, made of its OpenAPI and AsyncAPI documents.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import openapiTS, { astToString } from 'openapi-typescript';

const API = new URL('../../docs/api/', import.meta.url);
const TYPES = new URL('chat.d.ts', API);
const read = (name) => JSON.parse(readFileSync(new URL(name, API), 'utf8'));

const HEAD = `// The types of the chat's API, made by tests/js/types.js: REST calls, and events for socket.io-client, as in
//   const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io(url, { auth: { token } });
`;

const nameOf = ({ $ref }) => `Schemas['${$ref.split('/').at(-1)}']`;

/** The arguments of an event that clients send: one list, or several. */
function lists(payload) {
  if (payload.$ref) return [`[argument: ${nameOf(payload)}]`];
  if (payload.oneOf) return payload.oneOf.flatMap(lists);
  return [`[${payload.prefixItems.map((item, place) => `${place ? 'options' : 'argument'}: ${nameOf(item)}`).join(', ')}]`];
}

function answered({ oneOf: [success] }) {
  const { data } = success.properties;
  return data ? nameOf(data) : 'void';
}

/** One line an event, with what it is for. */
function events({ operations, components: { messages } }, action, line) {
  const named = Object.entries(operations).filter(([, operation]) => operation.action === action);
  return named.map(([name]) => `  /** ${messages[name].summary} */\n  ${name}: ${line(messages, name)};`).join('\n');
}

/** The whole file. */
export async function types() {
  const asyncapi = read('asyncapi.json');
  const rest = astToString(await openapiTS(read('openapi.json')));
  const calls = events(asyncapi, 'receive', (messages, name) => {
    const data = answered(messages[`${name}_ack`].payload);
    return `{ arguments: ${lists(messages[name].payload).join(' | ')}; data: ${data} }`;
  });
  const servers = events(asyncapi, 'send', (messages, name) =>
    `(payload: ${nameOf(messages[name].payload)}, offset?: string) => void`);
  return `${HEAD}
${rest}
export type Schemas = components['schemas'];

/** An acknowledgement: \`data\` where it succeeds, \`message\` and \`code\` where it does not. */
export type Ack<Data = void> =
  | (Data extends void ? { success: true } : { success: true; data: Data })
  | Schemas['Failure'];

/** What clients send: the arguments, and the data of an acknowledgement that succeeds. */
export interface Calls {
${calls}
}

export type ClientToServerEvents = {
  [E in keyof Calls]: (...args: [...Calls[E]['arguments'], ack?: (ack: Ack<Calls[E]['data']>) => void]) => void;
};

/** The offset is there for clients that recover. */
export interface ServerToClientEvents {
${servers}
}
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(TYPES, await types());
