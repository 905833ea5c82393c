// The link to the center: live, reconnecting or stale. A browser's own reconnection gives up after some errors, so we
// make each EventSource anew and resume after the last id that we have seen.

import { fill } from "./page.js";

const STALE_MS = 4500;  // the center's heart beats every 2 s; the page must say within 5 s that it is stale
const RETRY_MS = [250, 500, 1000, 2000, 3000];

let source = null;
let lastId = null;
let beatAt = performance.now();
let failures = 0;
let timer = null;

export function startLink(handlers) {
  open(handlers);
  setInterval(() => watch(handlers), 250);
  addEventListener("online", () => retryNow(handlers));
  document.addEventListener("visibilitychange", () => { if (!document.hidden && state() !== "live") retryNow(handlers); });
  addEventListener("pagehide", () => source?.close());
  addEventListener("pageshow", (event) => { if (event.persisted) retryNow(handlers); });
}

function open(handlers) {
  timer = null;
  source?.close();
  const opened = new EventSource(lastId === null ? "/api/v1/stream" : `/api/v1/stream?after=${lastId}`);
  source = opened;
  opened.addEventListener("open", () => handlers.onOpen());
  opened.addEventListener("heartbeat", (event) => {
    beatAt = performance.now();
    failures = 0;
    show(handlers.isCurrent() ? "live" : "stale");
    handlers.onHeartbeat(JSON.parse(event.data));
  });
  opened.addEventListener("journal", (event) => {
    lastId = Number(event.lastEventId);
    handlers.onJournal(JSON.parse(event.data));
  });
  opened.addEventListener("error", () => {
    if (opened !== source) return;
    opened.close();
    if (state() !== "stale") show("reconnecting");
    handlers.onRefused();  // a session that has ended leads to the login page
    schedule(handlers);
  });
}

function schedule(handlers) {
  if (timer !== null) return;
  const wait = RETRY_MS[Math.min(failures, RETRY_MS.length - 1)];
  failures += 1;
  timer = setTimeout(() => open(handlers), wait);
}

function retryNow(handlers) {
  clearTimeout(timer);
  open(handlers);
}

function watch(handlers) {
  const silence = performance.now() - beatAt;
  if (silence < STALE_MS) {
    if (!handlers.isCurrent()) show("stale");  // the center lives, and what it knows is not shown
    return;
  }
  show("stale");
  // A link that is open but silent for long is as good as dead: make a new one.
  if (silence % 10000 < 250 && timer === null) retryNow(handlers);
}

function state() { return document.body.dataset.link; }

function show(name) {
  if (state() === name) return;
  document.body.dataset.link = name;
  document.getElementById("link-text").textContent = fill(`link.${name}`);
  document.getElementById("stale").hidden = name !== "stale";
}
