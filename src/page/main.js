// The chat page. Models (conversations, thread, outbox, connection) tell by events what has changed; views show it.
//
//   sign_in → connection ─┬→ conversations → list_view, notices
//                         ├→ thread ─┐
//                         └→ outbox ─┴→ thread_view → message_rows
//
// In dialogs: deletion, new_conversation.

import { addressOf, conversationOfAddress } from './address.js';
import { Api } from './api.js';
import { Composer } from './composer.js';
import { Connection } from './connection.js';
import { watchConnection } from './connection_view.js';
import { Conversations } from './conversations.js';
import { Deletion } from './deletion.js';
import { byId } from './dom.js';
import { ListView } from './list_view.js';
import { offerNewConversation } from './new_conversation.js';
import { dismiss, notify } from './notices.js';
import { Outbox } from './outbox.js';
import { signOut, signedIn, withDemo } from './sign_in.js';
import { Thread } from './thread.js';
import { ThreadView } from './thread_view.js';
import { Typist, watchTyping } from './typing.js';

const narrow = matchMedia('(max-width: 719px)');

const user = await signedIn();
const me = user.id;
const api = new Api(user.tokens);
const connection = new Connection(user.tokens);
const outbox = new Outbox({ api, connection, me });
const attended = () => (view.attends ? thread?.id : null);
const conversations = new Conversations({ api, connection, me, attended });
const list = new ListView(conversations);
const view = new ThreadView({ outbox, me, remove: (message) => askToRemove(message) });
const deletion = new Deletion();
let thread = null;
let typist = null;
let left = false;

const composer = new Composer({
  send(text) {
    outbox.add(thread.id, text, thread.newest);
    view.toEnd();
  },
  pressed: () => typist?.pressed(),
  stopped: () => typist?.stopped(),
});

/** Opens what the address names, or nothing. */
function route() {
  const id = conversationOfAddress();
  if (thread?.id === id) return;
  const before = thread?.id;
  typist?.stopped();
  thread?.close();
  [thread, typist] = [null, null];
  const conversation = conversations.get(id);
  if (!conversation) {
    view.close();
    // Where one came from, for whoever goes on by keyboard.
    if (before && !id) list.focus(before);
    return;
  }
  thread = new Thread({ id, api, connection, me });
  typist = new Typist(connection.socket, id);
  view.open(thread, conversation.other);
  composer.open(id, conversation.other.full_name);
  dismiss(id);
  // What was deleted in it while it was not open is told by no event.
  conversations.load();
  // On a phone the keyboard would cover what there is to read.
  if (narrow.matches) byId('thread-title').focus();
  else composer.focus();
}

function back() {
  location.hash = '';
}

/** Of the thread that is open now: another one may be when the question is answered. */
function askToRemove(message) {
  const at = thread;
  const removed = () => {
    // Its button has gone.
    view.focus();
    conversations.load();
  };
  deletion.ask({ text: message.text, remove: () => at.remove(message), removed });
}

function show(id) {
  if (thread?.id === id) composer.focus();
  else location.hash = addressOf(id);
}

/** The page is there until the next one has come: nothing goes on meanwhile, and no error follows. */
function leave(error) {
  if (left) return;
  left = true;
  outbox.close();
  connection.close();
  signOut(error);
}

outbox.addEventListener('stored', (/** @type {any} */ { detail: message }) => {
  thread?.store(message);
  conversations.store(message);
});
conversations.addEventListener('change', () => {
  const own = conversations.all.find((one) => one.me)?.me;
  byId('me').textContent = user.name ?? own?.full_name ?? '';
  // The address may name a conversation from the beginning, or one that has come just now.
  if (!thread) route();
});
connection.socket.on('message_notification', async ({ conversation_id: id, preview }) => {
  // One that somebody has just begun is not known yet.
  if (!conversations.get(id)) await conversations.load();
  const conversation = conversations.get(id);
  if (conversation && id !== thread?.id) notify(conversation, preview);
});
watchTyping(connection.socket, user.id, (id, whether) => id === thread?.id && view.showTyping(whether));
watchConnection(connection);
if (withDemo) offerNewConversation({ me, conversations, show });
connection.addEventListener('ended', () => leave('The token does not hold any more. Please sign in again.'));

addEventListener('hashchange', route);
// What other devices of this user have done comes by no event.
addEventListener('visibilitychange', () => document.visibilityState === 'visible' && conversations.load());
addEventListener('keydown', (event) => {
  // Escape closes a dialog, and nothing else with it.
  const meant = event.key === 'Escape' && !event.isComposing && !document.querySelector('dialog[open]');
  if (meant && thread) back();
});
byId('back').addEventListener('click', back);
byId('skip').addEventListener('click', () => byId(thread ? 'text' : 'list-title').focus());
byId('sign-out').addEventListener('click', () => leave());

byId('chat').hidden = false;
list.render();
// By REST, whether or not there is a connection.
conversations.load();
connection.open();
