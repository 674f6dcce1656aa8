// Users to choose from.

import { element, paintAvatar } from './dom.js';

/** Fills a list with users. `choose(user)` is called when one of them is chosen. */
export function showUsers(list, users, choose) {
  const rows = users.map((user) => {
    const avatar = element('span', { className: 'avatar', ariaHidden: 'true' });
    paintAvatar(avatar, user);
    const button = element('button', { type: 'button' }, avatar, user.full_name);
    button.addEventListener('click', () => choose(user));
    return element('li', {}, button);
  });
  list.replaceChildren(...rows);
}
