// Who the user is: one of the demo's, or whoever a token names. Kept for this tab, over reloads.

import { claimsOf, demoTokens, demoUsers } from './api.js';
import { byId } from './dom.js';
import { showUsers } from './user_list.js';

const KEPT = 'signed in';
/** Whether there are demo users. */
export const withDemo = document.documentElement.dataset.signIn === 'demo';

/** Who has signed in, once somebody has: `id`, `name` where it is known, `tokens()`. */
export async function signedIn() {
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? 'null');
  // A demo user of a server that has none any more cannot come back.
  const usable = kept && !kept.error && (kept.token || withDemo);
  const who = usable ? kept : await ask(kept?.error);
  sessionStorage.setItem(KEPT, JSON.stringify(who));
  byId('sign-in').hidden = true;
  return { ...who, tokens: who.token ? async () => who.token : demoTokens(who.id) };
}

/** Begins anew: after an error with what is not sent yet, else without anything left of who was there. */
export function signOut(error) {
  if (error) sessionStorage.setItem(KEPT, JSON.stringify({ error }));
  else sessionStorage.clear();
  location.replace(location.pathname);
}

function ask(error) {
  byId('sign-in').hidden = false;
  byId('sign-in-error').textContent = error ?? '';
  return withDemo ? choice() : typedToken();
}

async function choice() {
  byId('choose').hidden = false;
  for (;;) {
    try {
      return await chosen(await demoUsers());
    } catch {
      byId('sign-in-error').textContent = 'The server does not answer.';
      await pressed(byId('sign-in-again'));
      byId('sign-in-error').textContent = '';
    }
  }
}

const chosen = (users) =>
  new Promise((resolve) => {
    showUsers(byId('demo-users'), users, (user) => resolve({ id: user._id, name: user.full_name }));
  });

function pressed(button) {
  button.hidden = false;
  return new Promise((resolve) => button.addEventListener('click', resolve, { once: true })).then(() => (button.hidden = true));
}

function typedToken() {
  const form = byId('token-form');
  form.hidden = false;
  return new Promise((resolve) => {
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const token = byId('token').value.trim();
      const { userId: id } = claimsOf(token);
      if (id) resolve({ id, token });
      else byId('sign-in-error').textContent = 'This is not a token: it has three parts, with dots between them.';
    });
  });
}
