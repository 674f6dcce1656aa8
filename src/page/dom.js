// Small things that all views need. Text goes into the page as text, never as markup.

const SVG = 'http://www.w3.org/2000/svg';
const TONES = 6;

/**
 * The element with this id, which the page has.
 * @returns {any}
 */
export const byId = (id) => document.getElementById(id);

/** A new element: properties, then children. */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

const PATHS = {
  back: ['M15 5l-7 7 7 7'],
  send: ['M4 12l16-8-5 16-3.5-6.5z'],
  close: ['M6 6l12 12M18 6L6 18'],
  new: ['M12 5v14M5 12h14'],
  delete: ['M4.5 7h15M9.5 7V4.5h5V7', 'M6.5 7l1 12.5h9l1-12.5', 'M10.3 11v5M13.7 11v5'],
  sending: ['M12 7v5l3 2', 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z'],
  sent: ['M5 13l4.5 4.5L19 7'],
  read: ['M1.5 13L6 17.5 15.5 7', 'M11 16l1.5 1.5L22.5 7'],
  failed: ['M12 6v8M12 17.5v.5', 'M12 2.5a9.5 9.5 0 1 0 0 19 9.5 9.5 0 0 0 0-19z'],
};

/** A drawing, which says nothing to a screen reader. */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  for (const line of PATHS[name]) {
    const path = document.createElementNS(SVG, 'path');
    path.setAttribute('d', line);
    svg.append(path);
  }
  return svg;
}

/** Text for screen readers only. */
export const spoken = (text) => element('span', { className: 'visually-hidden', textContent: text });

/** Fills a circle with somebody's initials, in a colour that stays theirs. */
export function paintAvatar(circle, { _id, full_name: name }) {
  const words = name.split(/\s+/u).filter(Boolean);
  const letters = [words[0], words.length > 1 ? words.at(-1) : ''].map((word) => [...(word ?? '')][0] ?? '');
  circle.textContent = letters.join('').toUpperCase();
  circle.dataset.tone = Number.parseInt(_id.slice(-4), 16) % TONES;
}

/** Says something to screen readers, now. */
export function announce(text) {
  // A line of its own each time, so that the same words twice are said twice.
  byId('announcer').replaceChildren(element('p', { textContent: text }));
}

/** Counts beyond this are not told apart. */
const MANY = 100;

/** A count as it is shown. */
export const count = (unread) => (unread >= MANY ? `${MANY - 1}+` : String(unread));

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });

/** Formats a day, with its year where that is another than this one. */
function dayFormat(options) {
  const near = new Intl.DateTimeFormat(undefined, options);
  const far = new Intl.DateTimeFormat(undefined, { ...options, year: 'numeric' });
  return (sentAt) => {
    const day = new Date(sentAt);
    return (day.getFullYear() === new Date().getFullYear() ? near : far).format(day);
  };
}

const date = dayFormat({ weekday: 'long', day: 'numeric', month: 'long' });
const shortDate = dayFormat({ day: 'numeric', month: 'short' });

export const timeOf = (sentAt) => clock.format(new Date(sentAt));

/** How many midnights ago. */
function daysAgo(sentAt) {
  const midnight = (time) => new Date(time).setHours(0, 0, 0, 0);
  return Math.round((midnight(Date.now()) - midnight(sentAt)) / 86_400_000);
}

/** The day, in full. */
export const dayOf = (sentAt) => ['Today', 'Yesterday'][daysAgo(sentAt)] ?? date(sentAt);

/** The time of today, the day of what is older. */
export const shortTimeOf = (sentAt) =>
  daysAgo(sentAt) === 0 ? timeOf(sentAt) : daysAgo(sentAt) === 1 ? 'Yesterday' : shortDate(sentAt);
