/** Feed of changes from the broker: queries of what has changed are refetched, so that pages poll rarely. */
import { type QueryClient, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import type { Api } from "../api/client";
import { isRefused } from "../api/queryClient";
import type { ChangeNotice, LiveAddress } from "../types";
import { batchUpdates } from "./batchUpdates";
import { markConnected } from "./connectionState";
import { parseJson, subscribe } from "./subscribe";
import { useResume } from "./useResume";

/** Milliseconds before connecting, so that the page's own queries come first. */
const CONNECT_DELAY_MS = 5_000;
/** Minimum milliseconds between refetches of the shown transfer, and of lists. */
const PAGE_BATCH_MS = 500;
const LIST_BATCH_MS = 3_000;
/** Lists come from an index that may lag: they are refetched once more after this many milliseconds. */
const INDEX_LAG_MS = 2_000;
/**
 * Milliseconds from a notice of agents to the refetch. Changes within a second after it have none of their own
 * (`AGENT_NOTICE_INTERVAL` in lambdas/aws/change_notifier.py).
 */
const AGENT_NOTICE_DELAY_MS = 1_500;
/** Minimum milliseconds between refetches of agents: a change is shown within five seconds. */
const AGENT_BATCH_MS = 3_500;

/** Keep the change feed running while the console is open. */
export function useChangeFeed(api: Api): void {
  const queries = useQueryClient();
  const resumeCount = useResume();
  // biome-ignore lint/correctness/useExhaustiveDependencies: after a sleep the line is a new one.
  useEffect(() => startChangeFeed(api, queries), [api, queries, resumeCount]);
}

function startChangeFeed(api: Api, queries: QueryClient): () => void {
  const transferBatch = batchUpdates<ChangeNotice>(PAGE_BATCH_MS, (notices) => {
    const changed = new Set(notices.map(({ transfer_id }) => transfer_id));
    return invalidate(queries, ([what, which]) => what === "transfer" && changed.has(String(which)));
  });
  const listBatch = batchUpdates<ChangeNotice>(LIST_BATCH_MS, () => invalidate(queries, isList));
  const agentBatch = batchUpdates<ChangeNotice>(AGENT_BATCH_MS, () => invalidate(queries, isFleet));
  let stop = () => {};
  let wasConnected = false;
  const timer = setTimeout(() => {
    const address = () => api.get<LiveAddress>("/live", { topic: "changes" });
    stop = subscribe(address, parseChangeNotice, {
      onMessage(notice) {
        if (notice.transfer_id === null) {
          setTimeout(() => agentBatch.add(notice), AGENT_NOTICE_DELAY_MS);
          return;
        }
        transferBatch.add(notice);
        listBatch.add(notice);
        setTimeout(() => listBatch.add(notice), INDEX_LAG_MS);
      },
      // Changes while disconnected were missed: refetch, which also updates the polling interval.
      onConnectionChange(yes) {
        if (wasConnected === yes) return;
        wasConnected = yes;
        markConnected("changes", yes);
        void invalidate(queries, (key) => key[0] === "transfer" || isList(key) || isFleet(key));
      },
    });
  }, CONNECT_DELAY_MS);
  return () => {
    clearTimeout(timer);
    stop();
    transferBatch.stop();
    listBatch.stop();
    agentBatch.stop();
    markConnected("changes", false);
  };
}

/**
 * Mark the matching queries as stale: shown ones are refetched now, others when a page shows them. Refused
 * ones stay as they are.
 */
function invalidate(queries: QueryClient, about: (key: readonly unknown[]) => boolean): Promise<void> {
  return queries.invalidateQueries({ predicate: (query) => about(query.queryKey) && !isRefused(query) });
}

/** Return whether a query is a list of transfers. The overview's totals are expensive and excluded. */
function isList([what, which]: readonly unknown[]): boolean {
  return what === "transfers" && which !== "overview";
}

/** Return whether a query is a list of agents, or how many there are. */
function isFleet([what]: readonly unknown[]): boolean {
  return what === "fleet";
}

export function parseChangeNotice(payload: Uint8Array): ChangeNotice | null {
  const transfer_id = parseJson<ChangeNotice>(payload)?.transfer_id;
  return typeof transfer_id === "string" || transfer_id === null ? { transfer_id } : null;
}
