// Compiled by types.test.js, never run: the types fit stock clients, and refuse what is wrong.
import { io, type Socket } from 'socket.io-client';
import type { ClientToServerEvents, ServerToClientEvents, paths } from '../../../docs/api/chat.js';

const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io('http://127.0.0.1:3000', { auth: { token: '' } });

socket.on('new_message', (message) => {
  const text: string = message.text;
  const name: string = message.sender_id.full_name;
  console.log(text, name, message.seq + 1);
  // @ts-expect-error There is no such field.
  console.log(message.sender);
});
socket.on('message_notification', ({ conversation_id, preview }, offset) => console.log(conversation_id, preview, offset));
// @ts-expect-error There is no such event.
socket.on('new_mesage', () => {});

socket.emit('typing', '507f1f77bcf86cd799439011');
socket.emit('join_conversation', '507f1f77bcf86cd799439011', { since_seq: 7 }, (ack) => {
  if (ack.success) console.log(ack.data.messages?.length, ack.data.head_seq);
  else console.log(ack.code, ack.retry_after_ms);
});
socket.emit('join_conversation', '507f1f77bcf86cd799439011', (ack) => console.log(ack.success));
// @ts-expect-error The text is missing.
socket.emit('send_message', { conversation_id: '507f1f77bcf86cd799439011' });

type Page = paths['/api/chat/conversations/{id}/messages']['get']['responses'][200]['content']['application/json'];
export const newest = (page: Page): number | undefined => page.data.at(-1)?.seq;
