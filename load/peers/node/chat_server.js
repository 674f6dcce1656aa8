// REST and Socket.IO over a store; the same for both variants.
import { createServer } from 'node:http';
import express from 'express';
import { Server } from 'socket.io';
import { HOST, PORT } from './config.js';
import { parseId } from './object_id.js';
import { parsePage, preview, refuseText, verifyToken } from './rules.js';

const CONVERSATION_NOT_FOUND = 'Conversation not found';

const failure = (message) => ({ success: false, message });
const conversationRoom = (id) => `conversation:${id}`;
const userRoom = (id) => `user:${id}`;

/** Listens until SIGTERM. */
export async function serve(store) {
  await store.createSchema();
  const app = express();
  const http = createServer(app);
  const io = new Server(http, { serveClient: false });
  restRoutes(app, store, io);
  socketEvents(store, io);
  http.listen({ port: PORT, host: HOST, backlog: 4096 }, () => console.log(`listening on http://${HOST}:${http.address().port}`));
  process.once('SIGTERM', async () => {
    await io.close();
    process.exit(0);
  });
}

function announce(io, { message, recipientId }) {
  io.to(conversationRoom(message.conversation_id)).emit('new_message', message);
  io.to(userRoom(recipientId)).emit('message_notification', {
    conversation_id: message.conversation_id,
    sender: message.sender_id._id,
    preview: preview(message.text),
  });
}

function socketEvents(store, io) {
  io.use((socket, next) => {
    const { token } = socket.handshake.auth;
    if (!token) return next(new Error('Authentication error: no token'));
    const caller = verifyToken(token);
    if (caller === null) return next(new Error('Authentication error: invalid token'));
    socket.data.userId = caller.userId;
    next();
  });

  io.on('connection', (socket) => {
    const { userId } = socket.data;
    socket.join(userRoom(userId));

    const relayTyping = (event) => async (id, ack) => {
      const conversationId = parseId(id);
      if (conversationId === null || !(await store.isParticipant(conversationId, userId))) {
        return ack(failure(CONVERSATION_NOT_FOUND));
      }
      socket.to(conversationRoom(conversationId)).emit(event, { userId });
      ack({ success: true });
    };

    const handlers = {
      async join_conversation(id, ack) {
        const conversationId = parseId(id);
        if (conversationId === null || !(await store.isParticipant(conversationId, userId))) {
          return ack(failure(CONVERSATION_NOT_FOUND));
        }
        socket.join(conversationRoom(conversationId));
        ack({ success: true, data: { conversation_id: conversationId } });
      },

      async send_message(data, ack) {
        const conversationId = parseId(data?.conversation_id);
        if (conversationId === null) return ack(failure(CONVERSATION_NOT_FOUND));
        const refusal = refuseText(data.text);
        if (refusal !== null) return ack(failure(refusal));
        let sent;
        try {
          sent = await store.sendMessage(conversationId, userId, data.text);
        } catch (error) {
          console.error('a message was not stored:', error.message);
          return ack(failure('Error sending message'));
        }
        if (sent === null) return ack(failure(CONVERSATION_NOT_FOUND));
        ack({ success: true, data: sent.message });
        announce(io, sent);
      },

      typing: relayTyping('user_typing'),
      stop_typing: relayTyping('user_stop_typing'),
    };

    // One after the other: a join followed at once by a send is in the room in time, and sends keep their order.
    let last = Promise.resolve();
    socket.onAny((event, ...args) => {
      const ack = typeof args.at(-1) === 'function' ? args.pop() : () => {};
      const handler = Object.hasOwn(handlers, event) ? handlers[event] : undefined;
      if (handler === undefined) return ack(failure('Unknown event'));
      last = last
        .then(() => handler(args[0], ack))
        .catch((error) => {
          console.error(`${event} failed:`, error.message);
          ack(failure('Internal error'));
        });
    });
  });
}

function restRoutes(app, store, io) {
  app.disable('x-powered-by');
  app.disable('etag');

  app.get('/health', (_, reply) => reply.json({ success: true }));

  const api = express.Router();
  app.use('/api/chat', api);
  api.use((request, reply, next) => {
    const [scheme, token] = (request.headers.authorization ?? '').split(' ');
    if (scheme !== 'Bearer' || !token) return reply.status(401).json(failure('No token provided'));
    request.caller = verifyToken(token);
    if (request.caller === null) return reply.status(401).json(failure('Invalid or expired token'));
    next();
  });
  api.use(express.json({ limit: '64kb' }));

  api.get('/conversations/:id/messages', async (request, reply) => {
    const conversationId = parseId(request.params.id);
    const { page, limit } = parsePage(request.query);
    const data = conversationId && (await store.readPage(conversationId, request.caller.userId, page, limit));
    if (data === null) return reply.status(404).json(failure(CONVERSATION_NOT_FOUND));
    reply.json({ success: true, data });
  });

  api.post('/conversations/:id/messages', async (request, reply) => {
    const conversationId = parseId(request.params.id);
    if (conversationId === null) return reply.status(404).json(failure(CONVERSATION_NOT_FOUND));
    const refusal = refuseText(request.body?.text);
    if (refusal !== null) return reply.status(400).json(failure(refusal));
    const sent = await store.sendMessage(conversationId, request.caller.userId, request.body.text);
    if (sent === null) return reply.status(404).json(failure(CONVERSATION_NOT_FOUND));
    reply.status(201).json({ success: true, data: { ...sent.message, sender_id: request.caller.userId } });
    announce(io, sent);
  });

  api.get('/conversations', async (request, reply) => {
    reply.json({ success: true, data: await store.listConversations(request.caller.userId) });
  });

  api.post('/conversations', async (request, reply) => {
    const { recipient_id: recipient, horse_id: horse = null } = request.body ?? {};
    const { userId } = request.caller;
    const recipientId = parseId(recipient);
    const horseId = parseId(horse);
    if (recipientId === null) return reply.status(400).json(failure('Invalid recipient ID'));
    if (recipientId === userId) return reply.status(400).json(failure('Cannot message yourself'));
    if (horse !== null && horseId === null) return reply.status(400).json(failure('Invalid horse ID'));
    if (!(await store.userExists(recipientId))) return reply.status(404).json(failure('Recipient not found'));
    reply.json({ success: true, data: await store.openConversation(userId, recipientId, horseId) });
  });

  api.get('/unread-count', async (request, reply) => {
    reply.json({ success: true, unread_count: await store.countUnread(request.caller.userId) });
  });

  api.put('/users/:id', async (request, reply) => {
    if (request.caller.role !== 'admin') return reply.status(403).json(failure('Only admins may do this'));
    const id = parseId(request.params.id);
    const { full_name: fullName, profile_picture_url: pictureUrl = null } = request.body ?? {};
    if (id === null) return reply.status(400).json(failure('Invalid user ID'));
    if (typeof fullName !== 'string' || fullName === '') {
      return reply.status(400).json(failure('full_name must be a string that is not empty'));
    }
    if (pictureUrl !== null && typeof pictureUrl !== 'string') {
      return reply.status(400).json(failure('profile_picture_url must be a string or null'));
    }
    reply.json({ success: true, data: await store.putUser(id, fullName, pictureUrl) });
  });

  app.use((_, reply) => reply.status(404).json(failure('Route not found')));
  app.use((error, _request, reply, _next) => {
    // The body parser's refusals (400, 413) carry their status.
    const status = error.status ?? 500;
    if (status >= 500) console.error('a request failed:', error.message);
    reply.status(status).json(failure(status >= 500 ? 'Internal error' : error.message));
  });
}
