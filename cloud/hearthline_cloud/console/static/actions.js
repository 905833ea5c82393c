// What people do: each action is one request with the version that they saw; the answer is said and shown.

import { fill, say } from "./page.js";

let hiding = null;

export async function act(action, id, version, outcome) {
  const body = outcome ? { outcome, version } : { version };
  const done = await send(`/api/v1/alerts/${id}/${action}`, body);
  if (done) showToast(fill("said.done"), false);
  return done;
}

export async function addNote(id, text) {
  const done = await send(`/api/v1/alerts/${id}/notes`, { text });
  if (done) showToast(fill("said.done"), false);
  return done;
}

async function send(path, body) {
  let answer;
  try {
    answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Hearthline": "1" },
      body: JSON.stringify(body),
    });
  } catch {
    showToast(fill("error.away"), true);
    return false;
  }
  if (answer.ok) return true;
  if (answer.status === 401) { location.assign("/login"); return false; }
  const error = (await answer.json().catch(() => ({})))?.error ?? { code: "", message: String(answer.status) };
  if (error.code === "conflict" && error.first) {
    showToast(fill("error.conflict", { name: error.first.by, state: fill(`state.${error.first.state}`) }), true);
  } else {
    showToast(fill("error.any", { message: error.message }), true);
  }
  return false;
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
