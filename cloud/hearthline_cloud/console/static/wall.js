// The wall view: shows what the center says, again and again, and says when it cannot. Nobody is there to press a key.

import { onHeartbeat } from "./center.js";
import { startLink } from "./link.js";
import { showTimes } from "./page.js";

const EVERY_MS = 10_000;  // figures change by time alone
const PAUSE_MS = 1000;  // a storm of presses is shown once a second
const live = document.getElementById("live");
const clock = document.getElementById("clock");
const time = new Intl.DateTimeFormat(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
let asked = false;
let busy = false;

async function refresh() {
  asked = true;
  if (busy) return;
  busy = true;
  while (asked) {
    asked = false;
    await show().catch((error) => { if (!(error instanceof TypeError)) throw error; });  // the network: the link says so
    await new Promise((done) => setTimeout(done, PAUSE_MS));
  }
  busy = false;
}

async function show() {
  const answer = await fetch(`${live.dataset.fragment}?utc_offset_min=${-new Date().getTimezoneOffset()}`);
  if (answer.status === 401) { location.assign("/login"); return; }
  if (!answer.ok) return;
  const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
  live.replaceChildren(...parsed.body.childNodes);
  showTimes(live);
}

function tick() {
  clock.textContent = time.format(new Date());
  showTimes(live);
}

tick();
setInterval(tick, 1000);
setInterval(refresh, EVERY_MS);
startLink({ onJournal: refresh, onHeartbeat, onOpen: refresh, onRefused: refresh });
