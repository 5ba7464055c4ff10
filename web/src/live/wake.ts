/** Says when the machine has slept, or the network is back: what the page knew is old then. */

const LOOK_MS = 5_000;
const SLEPT_MS = 20_000;

/** Calls `woke` after each sleep, until the returned function is called. */
export function onWake(woke: () => void): () => void {
  let last = Date.now();
  const look = () => {
    const slept = Date.now() - last > SLEPT_MS;
    last = Date.now();
    if (slept) woke();
  };
  // Browsers slow the timers of hidden pages down; a page that is shown again looks at once.
  const timer = setInterval(look, LOOK_MS);
  document.addEventListener("visibilitychange", look);
  window.addEventListener("online", woke);
  return () => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", look);
    window.removeEventListener("online", woke);
  };
}
