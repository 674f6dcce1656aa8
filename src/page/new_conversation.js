// A conversation with somebody else: a dialog to choose who. Who there is only the demo tells; elsewhere the marketplace begins
// conversations.

import { demoUsers, reasonOf } from './api.js';
import { byId, icon } from './dom.js';
import { showUsers } from './user_list.js';

/** Offers it. `show(id)` opens a conversation. */
export function offerNewConversation({ me, conversations, show }) {
  const dialog = byId('new-conversation');
  const error = dialog.querySelector('.error');
  const button = byId('new');
  let busy = false;
  const choose = async (user) => {
    if (busy) return;
    busy = true;
    error.textContent = '';
    try {
      // The one that they have, or a new one.
      const id = await conversations.begin(user._id);
      dialog.close();
      show(id);
    } catch (failure) {
      error.textContent = reasonOf(failure);
    }
    busy = false;
  };
  const open = async () => {
    error.textContent = '';
    const others = async () => (await demoUsers()).filter((user) => user._id !== me);
    const users = await others().catch((failure) => {
      error.textContent = reasonOf(failure);
      return [];
    });
    showUsers(byId('users'), users, choose);
    // With the users there already, so that the keyboard begins at the first of them.
    if (!dialog.open) dialog.showModal();
  };
  button.addEventListener('click', open);
  dialog.querySelector('.cancel').addEventListener('click', () => dialog.close());
  button.append(icon('new'));
  button.hidden = false;
}
