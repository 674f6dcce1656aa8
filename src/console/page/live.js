// What is on the page while somebody looks: asked for again, and changed only where it is another.

const EVERY_MS = 3_000;
/** The click of a touch comes a little after its end. */
const CLICK_MS = 50;

let isPressed = false;
const waiting = [];
const letGo = () => setTimeout(() => {
  isPressed = false;
  waiting.splice(0).forEach((act) => act());
}, CLICK_MS);
// The other buttons open menus, which keep to themselves that they are let go.
document.addEventListener('pointerdown', ({ button }) => { isPressed ||= button === 0; }, true);
for (const name of ['pointerup', 'pointercancel']) document.addEventListener(name, letGo, true);
document.addEventListener('pointermove', ({ buttons }) => isPressed && buttons === 0 && letGo(), true);
window.addEventListener('blur', letGo);

/** Does it when nothing is pressed, one after the other: a click is lost when what it is meant for moves in between. */
export function whenStill(act) {
  if (isPressed) waiting.push(act);
  else act();
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
