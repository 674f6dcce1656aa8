// What the scenario cannot say by itself: texts that carry when they were written, and how long they took to arrive.

const WRITTEN_AT = /^(\d+) /;

/** Counts and times what this user's socket hears. */
export function listen({ sockets, vars }, events, next) {
  const socket = sockets[''];
  vars.own = 0;
  socket.on('new_message', (message) => {
    const written = WRITTEN_AT.exec(message.text)?.[1];
    if (written === undefined || message.conversation_id !== vars.conversation) {
      events.emit('counter', 'chat.wrong_answers', 1);
      return;
    }
    if (vars.written?.has(message.text)) vars.own += 1;
    events.emit('counter', 'chat.new_message', 1);
    events.emit('histogram', 'chat.delivery_ms', Date.now() - Number(written));
  });
  socket.on('message_notification', () => events.emit('counter', 'chat.message_notification', 1));
  socket.on('user_typing', () => events.emit('counter', 'chat.user_typing', 1));
  socket.on('disconnect', (reason) => {
    if (reason !== 'io client disconnect') events.emit('counter', 'chat.disconnected', 1);
  });
  events.emit('counter', 'chat.wrong_answers', 0);
  next();
}

/** The next text. */
export function compose({ vars }, _events, next) {
  vars.text = `${Date.now()} Is this horse still available? (${Math.random().toString(36).slice(2)})`;
  vars.written ??= new Set();
  vars.written.add(vars.text);
  next();
}

/** Each own message has come back through the room, once. */
export function count({ vars }, events, next) {
  if (vars.own !== vars.written.size) events.emit('counter', 'chat.wrong_answers', 1);
  next();
}
