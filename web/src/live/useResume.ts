/** Says when the machine has slept, the page was out of sight, or the network was away: what it knew is old. */

import { useEffect, useState } from "react";

const CHECK_INTERVAL_MS = 5_000;
const SUSPENDED_AFTER_MS = 30_000;

/** Calls `woke` after each absence, with its seconds, until the returned function is called. */
export function onResume(callback: (away: number) => void): () => void {
  let lastSeen = Date.now();
  let offlineSince = 0;
  function checkSuspended(): void {
    // Browsers stop the asking of hidden pages: out of sight is as good as asleep.
    if (document.hidden) return;
    const away = Date.now() - lastSeen;
    lastSeen = Date.now();
    if (away > SUSPENDED_AFTER_MS) callback(away / 1000);
  }
  function offline(): void {
    offlineSince = Date.now();
  }
  function online(): void {
    const since = Math.min(offlineSince || Date.now(), lastSeen);
    offlineSince = 0;
    lastSeen = Date.now();
    callback((Date.now() - since) / 1000);
  }
  const timer = setInterval(checkSuspended, CHECK_INTERVAL_MS);
  document.addEventListener("visibilitychange", checkSuspended);
  window.addEventListener("offline", offline);
  window.addEventListener("online", online);
  return () => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", checkSuspended);
    window.removeEventListener("offline", offline);
    window.removeEventListener("online", online);
  };
}

/** How often that has been: what lasts no longer than it, a line to the broker, is made anew. */
export function useResume(): number {
  const [count, setWakes] = useState(0);
  useEffect(() => onResume(() => setWakes((before) => before + 1)), []);
  return count;
}
