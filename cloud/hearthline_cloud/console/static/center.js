// Whether the center itself can hear the homes, by the heartbeat of the link.

import { fill, setClock } from "./page.js";

export function onHeartbeat(beat) {
  setClock(Date.parse(beat.now));
  const faults = [["ingest", beat.ingest], ["broker", beat.broker || !beat.ingest]].filter((item) => !item[1]);
  document.getElementById("center").hidden = faults.length === 0;
  const what = faults.map((item) => fill(`center.${item[0]}`)).join(", ");
  document.getElementById("center-text").textContent = faults.length ? fill("center.banner", { what }) : "";
}
