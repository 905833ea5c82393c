// Texts, announcements and times.

const texts = JSON.parse(document.body.dataset.texts);
const language = document.documentElement.lang;
let clockAhead = 0;  // what the center's clock is ahead of this machine's, in ms

const shown = {
  time: { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
  minute: { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
  day: { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
  milli: { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 2, hourCycle: "h23" },
};
const whole = new Intl.DateTimeFormat(language, { dateStyle: "full", timeStyle: "long" });
const date = new Intl.DateTimeFormat(language, { month: "short", day: "numeric" });
const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
const formats = Object.fromEntries(
  Object.entries(shown).map(([name, options]) => [name, new Intl.DateTimeFormat(language, options)]),
);

export function fill(key, values = {}) {
  return Object.entries(values).reduce((text, [name, value]) => text.replaceAll(`{${name}}`, value), texts[key] ?? key);
}

export function knows(key) { return key in texts; }

export function say(text, urgent) {
  const place = document.getElementById(urgent ? "say-now" : "say");
  place.textContent = "";
  requestAnimationFrame(() => { place.textContent = text; });
}

export function setClock(serverMs) {
  const ahead = serverMs - Date.now();
  clockAhead = Math.abs(ahead) > 1500 ? ahead : 0;
}

export function showTimes(root) {
  const now = Date.now() + clockAhead;
  for (const element of root.querySelectorAll("time[data-show]")) {
    const at = new Date(element.dateTime);
    const style = element.dataset.show;
    let text;
    if (style === "age") text = age(Math.max(0, now - at.getTime()) / 1000);
    else if (style === "ago") text = ago((at.getTime() - now) / 1000);
    else text = dayBefore(at, style) + formats[style].format(at);
    if (element.textContent !== text) element.textContent = text;
    if (!element.title) element.title = whole.format(at);
  }
}

// A time of day alone is today's.
function dayBefore(at, style) {
  if (style !== "time" && style !== "milli") return "";
  return at.toDateString() === new Date().toDateString() ? "" : `${date.format(at)} `;
}

function age(seconds) {
  const two = (value) => String(Math.floor(value)).padStart(2, "0");
  if (seconds < 3600) return `${Math.floor(seconds / 60)}:${two(seconds % 60)}`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)}:${two((seconds / 60) % 60)}:${two(seconds % 60)}`;
  return relative.format(-Math.floor(seconds / 86400), "day");
}

function ago(seconds) {
  const past = Math.min(0, Math.round(seconds));
  if (past > -60) return relative.format(past, "second");
  if (past > -3600) return relative.format(Math.trunc(past / 60), "minute");
  if (past > -86400) return relative.format(Math.trunc(past / 3600), "hour");
  return relative.format(Math.trunc(past / 86400), "day");
}
