/** Agents publish live progress only of transfers that someone watches, for 90 s after each request. */
import type { Api } from "../api/client";
import { newKey } from "../api/idempotency";

const REQUEST_INTERVAL_MS = 30_000;
/** `MAX_WATCHED` in events/requests.py. Of further transfers, a page shows what agents report every 10 s. */
const MAX_WATCHED = 20;

/** Have agents publish the progress of these transfers while the page is visible, until the end is called. */
export function keepWatched(api: Api, transferIds: readonly string[]): () => void {
  const transfers = transferIds.slice(0, MAX_WATCHED);
  function request(): void {
    if (document.hidden) return;
    // Polling goes on without live progress, and the next request follows.
    void api.post("/live/watches", { transfers }, newKey()).catch(() => undefined);
  }
  request();
  const timer = setInterval(request, REQUEST_INTERVAL_MS);
  document.addEventListener("visibilitychange", request);
  return () => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", request);
  };
}
