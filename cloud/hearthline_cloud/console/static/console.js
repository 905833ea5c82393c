// The console's script: follows the live journal, exchanges what has changed on the page, and lets people act.

import { exchanging } from "./exchange.js";
import { ask, owing } from "./owed.js";
import { startLink } from "./link.js";
import { soundFor, soundOnce, startSound } from "./sound.js";
import { act, actOnOrder, addNote, showToast } from "./actions.js";
import { onHeartbeat } from "./center.js";
import { fill, say, showTimes } from "./page.js";

const live = document.getElementById("live");
const count = document.getElementById("count");
const title = document.title;
const exchange = live?.dataset.fragment ? exchanging(live) : null;
const { refresh, isCurrent } = owing(show);
let isLeaving = false;  // who logs out is told of that, too, and may ask no more

async function show() {
  if (isLeaving) return true;
  // Neither waits for the other: a list that is long in coming keeps nobody from hearing of an alarm.
  const done = await Promise.allSettled([showSummary(), showLive()]);
  const wrong = done.find((each) => each.status === "rejected");
  if (wrong) throw wrong.reason;
  return done.every((each) => each.value);
}

async function showLive() {
  if (!exchange) return true;
  const answer = await ask(live.dataset.fragment);
  if (answer.ok) exchange(new DOMParser().parseFromString(await answer.text(), "text/html").body);
  return answer.ok;
}

async function showSummary() {
  const answer = await ask("/fragments/summary");
  if (answer.status === 401) { location.assign("/login"); return true; }
  if (!answer.ok) return false;
  const summary = await answer.json();
  const { "device-fault": upkeep, "access-fault": access, ...calls } = summary;  // work, and nobody's call
  const waiting = Object.values(calls).reduce((sum, value) => sum + value, 0);
  count.hidden = waiting === 0;
  count.textContent = waiting;
  document.title = waiting ? `(${waiting}) ${title}` : title;
  soundFor(summary);
  return true;
}

// --- what the journal says ------------------------------------------------------------------------------------

function onJournal(message) {
  const alert = message.alert;
  if (alert) {
    const place = [alert.home_name || fill("alert.unknown-home"), alert.room].filter(Boolean).join(" · ");
    if (message.kind === "raised") {
      say(headline(alert, place), alert.kind === "emergency");
      if (!document.querySelector("[data-fragment='/fragments/alerts']")) showNew(alert, place);
    } else if (message.kind === "joined") {
      const joined = alert.cause === "press" ? fill("new.joined", { place }) : fill("new.cause-joined", { place, cause: causeOf(alert) });
      say(joined, alert.kind === "emergency");
      if (alert.state !== "raised") soundOnce(alert.kind);
    } else if (message.kind === "acknowledged") {
      say(fill("said.acknowledged", { name: message.actor, number: alert.id }), false);
      document.getElementById("new-alert").hidden = true;
    } else if (message.kind === "handed-over" && message.detail.to === document.body.dataset.me && message.actor !== message.detail.to) {
      tell(fill("said.handed-over", { name: message.actor, number: alert.id, place }), alert);
    } else if (message.kind === "reopened" && message.actor !== document.body.dataset.me) {
      tell(fill("said.reopened", { name: message.actor, number: alert.id, place }), alert);
    } else if (message.kind === "cancelled-at-home") {
      say(fill("said.cancelled", { place }), false);
    }
  }
  refresh();
}

function causeOf(alert) {
  return fill(`cause.${alert.cause}`);
}

function headline(alert, place) {
  return alert.cause === "press" ? fill(`new.${alert.kind}`, { place }) : fill("new.cause", { place, cause: causeOf(alert) });
}

function tell(text, alert) {
  say(text, true);
  showLink(text, alert);
}

function showNew(alert, place) { showLink(headline(alert, place), alert); }

function showLink(text, alert) {
  const link = document.getElementById("new-alert-link");
  link.href = `/alerts/${alert.id}`;
  link.textContent = text;
  document.getElementById("new-alert").hidden = false;
}

// --- people's hands -------------------------------------------------------------------------------------------

function holderOf(element) { return element.closest(".row") || document.getElementById("alert-head"); }

async function press(action, holder, more, button) {
  if (!holder || holder.dataset.busy) return;
  holder.dataset.busy = "1";
  if (button) button.disabled = true;
  const done = await act(action, holder.dataset.id, Number(holder.dataset.version), holder.dataset.state, more);
  delete holder.dataset.busy;
  if (button) button.disabled = false;
  if (done && button) putAway(button);
  await refresh();
}

// What was filled in has been done.
function putAway(button) {
  button.form?.reset();
  const folded = button.closest("details");
  if (!folded) return;
  const had = document.activeElement;
  folded.open = false;
  if (had === document.body || folded.contains(had)) folded.querySelector("summary").focus({ preventScroll: true });
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-act]");
  if (!button) return;
  const { outcome, to, category, due } = button.dataset;
  press(button.dataset.act, holderOf(button), outcome ? { outcome } : to ? { to } : category ? { category, due } : {}, button);
});

document.addEventListener("click", (event) => { if (event.target.closest("[data-print]")) print(); });

document.addEventListener("submit", (event) => { if (event.target.getAttribute("action") === "/logout") isLeaving = true; });

document.addEventListener("submit", (event) => {
  const action = event.target.dataset.form;
  if (!action) return;
  event.preventDefault();
  const given = Object.fromEntries(new FormData(event.target));
  if (given.due) given.due = new Date(given.due).toISOString();  // what was typed is this place's time
  press(action, holderOf(event.target), given, event.submitter);
});

document.addEventListener("submit", async (event) => {
  if (!event.target.matches("[data-note]")) return;
  event.preventDefault();
  const field = event.target.elements.text;
  if (await addNote(document.getElementById("alert-head").dataset.id, field.value)) {
    field.value = "";
    await refresh();
  }
});

document.addEventListener("submit", async (event) => {
  const id = event.target.dataset.order;
  if (!id) return;
  event.preventDefault();
  const given = Object.fromEntries(new FormData(event.target));
  if (event.submitter?.name) given[event.submitter.name] = event.submitter.value;
  const { action, version, outcome, words } = given;
  event.submitter.disabled = true;
  const done = await actOnOrder(action, id, Number(version), { outcome: outcome || null, words: words ?? "" });
  event.submitter.disabled = false;
  if (done) event.target.reset();
  await refresh();
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea, select")) return;
  const rows = [...document.querySelectorAll(".row")];
  const row = document.activeElement?.closest(".row");
  const onRow = row && document.activeElement === row;
  const key = event.key.toLowerCase();
  if (key === "arrowdown" || key === "arrowup") {
    if (!rows.length) return;
    const place = rows.indexOf(row) + (key === "arrowdown" ? 1 : -1);
    rows[row ? Math.max(0, Math.min(rows.length - 1, place)) : 0].focus();
    event.preventDefault();
    return;
  }
  const holder = row || document.getElementById("alert-head");
  if (!holder) return;
  const state = holder.dataset.state;
  if (key === "a" || (key === "enter" && onRow && state === "raised")) {
    if (state === "raised") press("acknowledge", holder);
  } else if (key === "w") {
    if (state === "raised" || state === "acknowledged" || state === "scheduled") press("attend", holder);
  } else if (key === "h") {
    if (state === "acknowledged" || state === "scheduled" || state === "attending") press("arrive", holder);
  } else if (key === "p" && (row || document).querySelector("[data-plan]")) {
    const plan = (row || document).querySelector("[data-plan]");
    plan.open = true;
    plan.querySelector("button, select").focus();
  } else if (row && (key === "o" || (key === "enter" && onRow))) {
    location.assign(`/alerts/${row.dataset.id}`);
  } else {
    return;
  }
  event.preventDefault();
});

async function showEnergy(place) {
  const offset = -new Date().getTimezoneOffset();
  const answer = await fetch(`/api/v1/homes/${encodeURIComponent(place.dataset.energy)}/energy?utc_offset_min=${offset}`);
  const energy = answer.ok ? await answer.json() : null;
  const known = energy && energy.kwh !== null;
  place.classList.toggle("none", !known);
  place.textContent = known ? `${energy.kwh.toFixed(2)} kWh` : fill(energy ? "energy.none" : "energy.away");
}

showTimes(document);
setInterval(() => showTimes(document), 1000);
startSound();
startLink({ onJournal, onHeartbeat, onOpen: refresh, onRefused: refresh, isCurrent });
for (const place of document.querySelectorAll("[data-energy]")) showEnergy(place).catch(() => showToast(fill("energy.away"), true));
if (live?.dataset.every) setInterval(refresh, Number(live.dataset.every) * 1000);
document.querySelector(".top nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
