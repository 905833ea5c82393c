// The alarm's sound, made by WebAudio: repeats until somebody acknowledges. A browser may forbid sound before the first
// click or key; then the page says so.

import { fill } from "./page.js";

const EVERY_MS = { emergency: 3500, service: 15000 };
const KEY = "hearthline-sound";
const TUNES = {  // pitch in Hz, start and length in seconds
  emergency: [[880, 0, 0.22], [660, 0.28, 0.22], [880, 0.56, 0.22], [660, 0.84, 0.3]],
  service: [[523, 0, 0.25], [659, 0.3, 0.4]],
};

let context = null;
let wanted = localStorage.getItem(KEY) !== "off";
let waiting = { emergency: 0, service: 0, "gateway-silent": 0, "center-blind": 0 };  // of devices none: their alerts are work, and ring for nobody
let next = null;

export function startSound() {
  const button = document.getElementById("sound");
  button.addEventListener("click", () => {
    if (wanted && context?.state === "running") wanted = false;
    else wanted = true;
    localStorage.setItem(KEY, wanted ? "on" : "off");
    wake(true);
  });
  for (const gesture of ["pointerdown", "keydown"]) {
    document.addEventListener(gesture, (event) => { if (!button.contains(event.target)) wake(false); }, { passive: true });
  }
  if (wanted) context = new AudioContext();
  context?.addEventListener("statechange", show);
  show();
}

export function soundFor(summary) {
  const more = summary.emergency > waiting.emergency;
  waiting = summary;
  if (more || next === null) ring();
}

// Once, for a further press of an alert that somebody has already: it must be heard, and it does not go on.
export function soundOnce(kind) {
  if (wanted && context?.state === "running") play(TUNES[kind] ?? TUNES.service, kind === "emergency" ? 0.35 : 0.15);
}

async function wake(chirp) {
  if (!wanted) { show(); return; }
  if (context === null) {
    context = new AudioContext();
    context.addEventListener("statechange", show);
  }
  if (context.state !== "running") await context.resume();
  show();
  if (chirp) play([[660, 0, 0.12]], 0.15);
  ring();
}

function show() {
  const state = !wanted ? "off" : context?.state === "running" ? "on" : "blocked";
  document.body.dataset.sound = state;
  const button = document.getElementById("sound");
  button.setAttribute("aria-pressed", String(state === "on"));
  document.getElementById("sound-text").textContent = fill(`sound.${state}`);
  document.getElementById("sound-banner").hidden = state !== "blocked";
}

function ring() {
  clearTimeout(next);
  next = null;
  const soft = waiting.service + waiting["gateway-silent"] + waiting["center-blind"];
  if (!waiting.emergency && !soft) return;
  soundOnce(waiting.emergency ? "emergency" : "service");
  next = setTimeout(ring, waiting.emergency ? EVERY_MS.emergency : EVERY_MS.service);
}

function play(notes, loudness) {
  for (const [pitch, start, length] of notes) {
    const at = context.currentTime + start;
    const tone = context.createOscillator();
    const gain = context.createGain();
    tone.frequency.value = pitch;
    tone.type = "triangle";
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(loudness, at + 0.02);
    gain.gain.setValueAtTime(loudness, at + length - 0.05);
    gain.gain.linearRampToValueAtTime(0, at + length);
    tone.connect(gain).connect(context.destination);
    tone.start(at);
    tone.stop(at + length);
  }
}
