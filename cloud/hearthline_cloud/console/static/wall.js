// The wall view: shows what the center says, again and again, and says when it cannot. Nobody is there to press a key.

import { onHeartbeat } from "./center.js";
import { ask, owing } from "./owed.js";
import { startLink } from "./link.js";
import { showTimes } from "./page.js";

const EVERY_MS = 10_000;  // figures change by time alone
const PAUSE_MS = 1000;  // a storm of presses is shown once a second
const live = document.getElementById("live");
const clock = document.getElementById("clock");
const time = new Intl.DateTimeFormat(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const { refresh, isCurrent } = owing(show, PAUSE_MS);

async function show() {
  const answer = await ask(`${live.dataset.fragment}?utc_offset_min=${-new Date().getTimezoneOffset()}`);
  if (answer.status === 401) { location.assign("/login"); return true; }
  if (!answer.ok) return false;
  const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
  live.replaceChildren(...parsed.body.childNodes);
  showTimes(live);
  return true;
}

function tick() {
  clock.textContent = time.format(new Date());
  showTimes(live);
}

tick();
setInterval(tick, 1000);
setInterval(refresh, EVERY_MS);
startLink({ onJournal: refresh, onHeartbeat, onOpen: refresh, onRefused: refresh, isCurrent });
