// Notices of what happens in other conversations than the open one.

import { addressOf } from './address.js';
import { announce, byId, element, icon } from './dom.js';

const SHOWN_MS = 7_000;
const MOST = 3;

/** Shows that somebody has written, until it is read, put away, or some seconds have gone by without anybody at it. */
export function notify({ id, other }, preview) {
  const box = byId('notices');
  dismiss(id);
  const name = element('strong', { textContent: other.full_name });
  const link = element('a', { href: addressOf(id) }, name, element('span', { textContent: preview }));
  const ariaLabel = `Dismiss the notice of ${other.full_name}`;
  const close = element('button', { type: 'button', className: 'icon', ariaLabel }, icon('close'));
  const notice = element('div', { className: 'notice' }, link, close);
  notice.dataset.conversation = id;
  let timer;
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(() => notice.remove(), SHOWN_MS);
  };
  for (const name of ['mouseenter', 'focusin']) notice.addEventListener(name, () => clearTimeout(timer));
  for (const name of ['mouseleave', 'focusout']) notice.addEventListener(name, wait);
  close.addEventListener('click', () => notice.remove());
  link.addEventListener('click', () => notice.remove());
  box.append(notice);
  while (box.children.length > MOST) box.firstElementChild.remove();
  wait();
  announce(`New message from ${other.full_name}: ${preview}`);
}

/** Takes a conversation's notice away. */
export function dismiss(id) {
  document.querySelector(`.notice[data-conversation="${id}"]`)?.remove();
}
