// What the page owes to its reader: once something has happened, the page is not up to date before it shows it. One
// fetch at a time; what happens meanwhile asks for another; a fetch that fails is repeated until it does not.

const STALE_MS = 4500;
const AGAIN_MS = 1000;
const LONGEST_MS = 10_000;  // a fetch over a connection that is dead and does not say so would be waited for without end

export function ask(path) { return fetch(path, { signal: AbortSignal.timeout(LONGEST_MS) }); }

// `show` fetches and shows, and says whether it could; `pause` is the least time in ms between two of them.
export function owing(show, pause = 0) {
  let since = null;  // when the page began to owe
  let asked = false;
  let busy = false;

  async function refresh() {
    asked = true;
    since ??= performance.now();
    if (busy) return;
    busy = true;
    try {
      while (asked) {
        asked = false;
        const began = performance.now();
        if (await shown(show)) since = asked ? began : null;
        else asked = true;
        const wait = asked && since < began ? AGAIN_MS : pause;
        if (wait) await new Promise((done) => setTimeout(done, wait));
      }
    } finally {
      busy = false;
    }
  }

  return { refresh, isCurrent: () => since === null || performance.now() - since < STALE_MS };
}

async function shown(show) {
  try {
    return await show();
  } catch (error) {
    if (error instanceof TypeError || error.name === "TimeoutError") return false;  // the network
    throw error;
  }
}
