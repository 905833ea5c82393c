// Exchanges what has changed in a part of the page, and nothing else: what somebody types in, has opened or is about to
// press stays the element that it was.

import { showTimes } from "./page.js";

// What acts, holds a value or is written by scripts is the same or another one; it is not made into another one.
const WHOLE = "a, button, input, select, textarea, time, svg";

// Of a page as it was sent: `exchange(fresh)` makes `live` what the center has sent since.
export function exchanging(live) {
  let sent = live.cloneNode(true);

  return function exchange(fresh) {
    const next = fresh.cloneNode(true);
    const had = live.contains(document.activeElement) ? document.activeElement : null;
    const holder = had?.closest("[id]");
    const way = had ? wayTo(had, holder) : [];
    swapChildren(live, sent, fresh);
    sent = next;
    showTimes(live);
    if (had && document.activeElement !== had) focusAgain(had, holder, way);
  };
}

function swapChildren(live, sent, fresh) {
  const old = [...live.childNodes];
  const was = [...sent.childNodes];
  const wanted = [...fresh.childNodes];
  const places = old.length === was.length ? placesOf(wanted, was) : [];
  const parts = wanted.map((part, index) => {
    const place = places[index];
    if (place === undefined) return markNew(part);
    if (!was[place].isEqualNode(part)) swap(old[place], was[place], part);
    return old[place];
  });
  for (const gone of old.filter((part) => !parts.includes(part))) gone.remove();
  let next = live.firstChild;
  for (const part of parts) {  // an element that is moved loses focus, selection and scrolling
    if (part === next) next = next.nextSibling;
    else live.insertBefore(part, next);
  }
}

function swap(live, sent, fresh) {
  for (const { name, value } of fresh.attributes) if (sent.getAttribute(name) !== value) live.setAttribute(name, value);
  for (const { name } of sent.attributes) if (!fresh.hasAttribute(name)) live.removeAttribute(name);
  swapChildren(live, sent, fresh);
}

// Where each wanted part was: one that is equal, else one that it can be made of.
function placesOf(wanted, was) {
  const left = new Set(was.keys());
  const take = (part, fits) => {
    for (const place of left) {
      if (fits(was[place], part)) { left.delete(place); return place; }
    }
    return undefined;
  };
  const places = wanted.map((part) => take(part, (one, other) => one.isEqualNode(other)));
  return places.map((place, index) => place ?? take(wanted[index], isKin));
}

function isKin(one, other) {
  return one.nodeType === Node.ELEMENT_NODE && one.nodeName === other.nodeName && one.id === other.id && !one.matches(WHOLE);
}

function markNew(part) {
  if (part.nodeType !== Node.ELEMENT_NODE) return part;
  for (const row of [part, ...part.querySelectorAll(".row")]) {
    if (row.matches(".row[id]") && !document.getElementById(row.id)) row.classList.add("fresh");
  }
  return part;
}

function wayTo(element, holder) {
  if (element === holder) return [];
  return [...wayTo(element.parentElement, holder), [...element.parentElement.children].indexOf(element)];
}

function focusAgain(had, holder, way) {
  const fresher = document.getElementById(holder.id);
  const there = had.isConnected ? had : way.reduce((at, place) => at?.children[place], fresher);
  // A key pressed twice must not do another thing the second time: what acts is the same, or the focus goes to its holder.
  const isSame = there?.tagName === had.tagName && (!had.matches("a, button") || there.textContent === had.textContent);
  (isSame ? there : fresher)?.focus({ preventScroll: true });
}
