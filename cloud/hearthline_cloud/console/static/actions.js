// What people do: each action is one request with the version that they saw; the answer is said and shown.

import { fill, knows, say } from "./page.js";

const LONGEST_MS = 20_000;  // longer than the center waits for its database

let hiding = null;

// `more`: what the action needs besides the version: an outcome, a receiver, a reason.
export async function act(action, id, version, state, more) {
  const done = await send(`/api/v1/alerts/${id}/${action}`, { ...more, version }, state);
  if (done) showToast(fill("said.done"), false);
  return done;
}

export async function actOnOrder(action, id, version, given) {
  const done = await send(`/api/v1/orders/${id}/${action}`, { ...given, version }, "");
  if (done) showToast(fill("said.done"), false);
  return done;
}

export async function addNote(id, text) {
  const done = await send(`/api/v1/alerts/${id}/notes`, { text });
  if (done) showToast(fill("said.done"), false);
  return done;
}

async function send(path, body, state) {
  let answer;
  try {
    answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Hearthline": "1" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(LONGEST_MS),
    });
  } catch {
    showToast(fill("error.away"), true);
    return false;
  }
  if (answer.ok) return true;
  if (answer.status === 401) { location.assign("/login"); return false; }
  const error = (await answer.json().catch(() => ({})))?.error ?? { code: "", message: String(answer.status) };
  showToast(explain(error, state), true);
  return false;
}

function explain(error, state) {
  const first = error.first;
  if (first?.did === "handed-over") return fill("error.handed-over", { name: first.by, receiver: first.to });
  if (first && !knows(`state.${first.state}`)) return fill("orders.too-late");
  if (first) return fill("error.conflict", { name: first.by, state: fill(`state.${first.state}`) });
  if (error.code === "database-away") return fill("error.database-away");
  if (error.reason === "not-from-here" && !state) return fill("orders.too-late");
  const refused = `refused.${error.reason}`;
  if (knows(refused)) return fill(refused, { state: fill(`state.${state}`) });
  return fill("error.any", { message: error.message });
}

export function showToast(text, bad) {
  const toast = document.getElementById("toast");
  toast.textContent = text;
  toast.classList.toggle("bad", bad);
  toast.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { toast.hidden = true; }, bad ? 8000 : 2500);
  if (bad) say(text, true);
}
