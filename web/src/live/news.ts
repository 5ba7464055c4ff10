/** Which transfers have changed, as the broker tells it: pages ask anew for these, and need not ask all the time. */
import { type QueryClient, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import type { Api } from "../api/client";
import type { LiveAddress, News } from "../types";
import { gathering } from "./gather";
import { stands } from "./lines";
import { jsonIn, listen } from "./listen";
import { useWakes } from "./wake";

/** First what the page shows, then the way to what becomes of it. */
const AFTER_MS = 5_000;
/** How soon again: the one transfer that is shown, and lists, on a busy day no more often than without news. */
const SHOWN_MS = 500;
const LISTS_MS = 3_000;
/** Lists are read from an index that may lag behind: who asks at once asks once more. */
const LAG_MS = 2_000;

/** While the console is open. */
export function useNews(api: Api): void {
  const queries = useQueryClient();
  const wakes = useWakes();
  // biome-ignore lint/correctness/useExhaustiveDependencies: after a sleep the line is a new one.
  useEffect(() => following(api, queries), [api, queries, wakes]);
}

function following(api: Api, queries: QueryClient): () => void {
  const shown = gathering<News>(SHOWN_MS, (news) => {
    const changed = new Set(news.map(({ transfer_id }) => transfer_id));
    return asked(queries, ([what, which]) => what === "transfer" && changed.has(String(which)));
  });
  const lists = gathering<News>(LISTS_MS, () => asked(queries, isList));
  let stop = () => {};
  let stood = false;
  const timer = setTimeout(() => {
    const address = () => api.get<LiveAddress>("/live", { what: "news" });
    stop = listen(address, readNews, {
      heard(news) {
        shown.add(news);
        lists.add(news);
        setTimeout(() => lists.add(news), LAG_MS);
      },
      // What happened before, or will from now on, nobody tells; and who asks learns how soon to ask again.
      connected(yes) {
        if (stood === yes) return;
        stood = yes;
        stands("news", yes);
        void asked(queries, (key) => key[0] === "transfer" || isList(key));
      },
    });
  }, AFTER_MS);
  return () => {
    clearTimeout(timer);
    stop();
    shown.stop();
    lists.stop();
    stands("news", false);
  };
}

/** Anew; what no page shows is asked for when one does. */
function asked(queries: QueryClient, about: (key: readonly unknown[]) => boolean): Promise<void> {
  return queries.invalidateQueries({ predicate: ({ queryKey }) => about(queryKey) });
}

/** The month's sums are dear, and not of this second. */
function isList([what, which]: readonly unknown[]): boolean {
  return what === "transfers" && which !== "overview";
}

export function readNews(payload: Uint8Array): News | null {
  const transfer_id = jsonIn<News>(payload)?.transfer_id;
  return typeof transfer_id === "string" ? { transfer_id } : null;
}
