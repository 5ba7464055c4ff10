/** Says when the machine has slept, the page was out of sight, or the network was away: what it knew is old. */

import { useEffect, useState } from "react";

const CHECK_INTERVAL_MS = 5_000;
const SUSPENDED_AFTER_MS = 30_000;

/** Calls `woke` after each absence, with its seconds, until the returned function is called. */
export function onResume(woke: (away: number) => void): () => void {
  let last = Date.now();
  let cut = 0;
  function look(): void {
    // Browsers stop the asking of hidden pages: out of sight is as good as asleep.
    if (document.hidden) return;
    const away = Date.now() - last;
    last = Date.now();
    if (away > SUSPENDED_AFTER_MS) woke(away / 1000);
  }
  function offline(): void {
    cut = Date.now();
  }
  function online(): void {
    const since = Math.min(cut || Date.now(), last);
    cut = 0;
    last = Date.now();
    woke((Date.now() - since) / 1000);
  }
  const timer = setInterval(look, CHECK_INTERVAL_MS);
  document.addEventListener("visibilitychange", look);
  window.addEventListener("offline", offline);
  window.addEventListener("online", online);
  return () => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", look);
    window.removeEventListener("offline", offline);
    window.removeEventListener("online", online);
  };
}

/** How often that has been: what lasts no longer than it, a line to the broker, is made anew. */
export function useResume(): number {
  const [wakes, setWakes] = useState(0);
  useEffect(() => onResume(() => setWakes((before) => before + 1)), []);
  return wakes;
}
