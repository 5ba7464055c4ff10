/**
 * Detect that the machine slept, the page was hidden, or the network was lost, so that its data is
 * outdated.
 */

import { useEffect, useState } from "react";

const CHECK_INTERVAL_MS = 5_000;
const SUSPENDED_AFTER_MS = 30_000;

/** Call `callback` with the seconds of each absence, until the returned function is called. */
export function onResume(callback: (away: number) => void): () => void {
  let lastSeen = Date.now();
  let offlineSince = 0;
  function checkSuspended(): void {
    // Browsers throttle timers of hidden pages, so that hidden counts as suspended.
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

/** Return the number of resumes: as an effect's dependency it reopens the broker connection. */
export function useResume(): number {
  const [count, setWakes] = useState(0);
  useEffect(() => onResume(() => setWakes((before) => before + 1)), []);
  return count;
}
