/** Which transfers have changed, as the broker tells it: pages ask anew for these, and need not ask all the time. */
import { type QueryClient, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import type { Api } from "../api/client";
import type { ChangeNotice, LiveAddress } from "../types";
import { batchUpdates } from "./batchUpdates";
import { markConnected } from "./connectionState";
import { parseJson, subscribe } from "./subscribe";
import { useResume } from "./useResume";

/** First what the page shows, then the way to what becomes of it. */
const CONNECT_DELAY_MS = 5_000;
/** How soon again: the one transfer that is shown, and lists, on a busy day no more often than without news. */
const PAGE_BATCH_MS = 500;
const LIST_BATCH_MS = 3_000;
/** Lists are read from an index that may lag behind: who asks at once asks once more. */
const INDEX_LAG_MS = 2_000;

/** While the console is open. */
export function useChangeFeed(api: Api): void {
  const queries = useQueryClient();
  const resumeCount = useResume();
  // biome-ignore lint/correctness/useExhaustiveDependencies: after a sleep the line is a new one.
  useEffect(() => startChangeFeed(api, queries), [api, queries, resumeCount]);
}

function startChangeFeed(api: Api, queries: QueryClient): () => void {
  const transferBatch = batchUpdates<ChangeNotice>(PAGE_BATCH_MS, (news) => {
    const changed = new Set(news.map(({ transfer_id }) => transfer_id));
    return invalidate(queries, ([what, which]) => what === "transfer" && changed.has(String(which)));
  });
  const listBatch = batchUpdates<ChangeNotice>(LIST_BATCH_MS, () => invalidate(queries, isList));
  let stop = () => {};
  let wasConnected = false;
  const timer = setTimeout(() => {
    const address = () => api.get<LiveAddress>("/live", { what: "news" });
    stop = subscribe(address, parseChangeNotice, {
      onMessage(news) {
        transferBatch.add(news);
        listBatch.add(news);
        setTimeout(() => listBatch.add(news), INDEX_LAG_MS);
      },
      // What happened before, or will from now on, nobody tells; and who asks learns how soon to ask again.
      onConnectionChange(yes) {
        if (wasConnected === yes) return;
        wasConnected = yes;
        markConnected("changes", yes);
        void invalidate(queries, (key) => key[0] === "transfer" || isList(key));
      },
    });
  }, CONNECT_DELAY_MS);
  return () => {
    clearTimeout(timer);
    stop();
    transferBatch.stop();
    listBatch.stop();
    markConnected("changes", false);
  };
}

/** Anew; what no page shows is asked for when one does. */
function invalidate(queries: QueryClient, about: (key: readonly unknown[]) => boolean): Promise<void> {
  return queries.invalidateQueries({ predicate: ({ queryKey }) => about(queryKey) });
}

/** The month's sums are dear, and not of this second. */
function isList([what, which]: readonly unknown[]): boolean {
  return what === "transfers" && which !== "overview";
}

export function parseChangeNotice(payload: Uint8Array): ChangeNotice | null {
  const transfer_id = parseJson<ChangeNotice>(payload)?.transfer_id;
  return typeof transfer_id === "string" ? { transfer_id } : null;
}
