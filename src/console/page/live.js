// What is on the page while somebody looks: asked for again, and changed only where it is another.

const EVERY_MS = 3_000;
/** The click of a touch comes a little after its end. */
const CLICK_MS = 50;
/** A longer press is no click, or its end was not told. */
const PRESS_MS = 10_000;

/** Fingers and buttons that are down. */
const pressed = new Set();
const waiting = [];
let isStill = true;
let timer;
const goOn = (after) => {
  clearTimeout(timer);
  timer = setTimeout(() => {
    pressed.clear();
    isStill = true;
    waiting.splice(0).forEach((act) => act());
  }, after);
};
document.addEventListener('pointerdown', ({ button, pointerId }) => {
  // The other buttons open menus, which keep to themselves that they are let go.
  if (button !== 0) return;
  pressed.add(pointerId);
  isStill = false;
  goOn(PRESS_MS);
}, true);
for (const name of ['pointerup', 'pointercancel']) {
  document.addEventListener(name, ({ pointerId }) => {
    if (pressed.delete(pointerId) && pressed.size === 0) goOn(CLICK_MS);
  }, true);
}

/** Does it when nothing is pressed, one after the other: a click is lost when what it is meant for moves in between. */
export function whenStill(act) {
  if (isStill) act();
  else waiting.push(act);
}

/** Refreshes every few seconds, when somebody looks again, and after what the operator did; not in vain. */
export function keepFresh(feed, refresh) {
  const look = async () => {
    if (feed.isConnected && !document.hidden) await refresh();
  };
  const later = () => setTimeout(() => look().then(later), EVERY_MS);
  later();
  document.addEventListener('visibilitychange', look);
  feed.addEventListener('acted', look);
}

/** Replaces the children that are another, and no more: the focus, what is selected and a click under way stay. */
export function renew(parent, made) {
  for (const [at, child] of made.entries()) {
    const old = parent.children[at];
    if (!old) parent.append(child);
    else if (!old.isEqualNode(child)) old.replaceWith(child);
  }
  while (parent.childElementCount > made.length) parent.lastElementChild.remove();
}

/** Says it, where it is not said already: a screen reader reads it out once. */
export function tell(place, text) {
  if (place.textContent !== text) place.textContent = text;
}
