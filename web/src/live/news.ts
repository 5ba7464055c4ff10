/** Which transfers have changed, as the broker tells it: pages ask anew for these, and need not ask all the time. */
import { type QueryClient, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import type { Api } from "../api/client";
import type { LiveAddress, News } from "../types";
import { gathering } from "./gather";
import { stands } from "./lines";
import { listen } from "./listen";
import { onWake } from "./wake";

/** First what the page shows, then the way to what becomes of it. */
const AFTER_MS = 1_000;
/** Many may end in one second: lists are asked for no more often than this. */
const GATHER_MS = 1_000;

/** While the console is open. */
export function useNews(api: Api): void {
  const queries = useQueryClient();
  const [wakes, setWakes] = useState(0);
  useEffect(() => onWake(() => setWakes((before) => before + 1)), []);
  // biome-ignore lint/correctness/useExhaustiveDependencies: after a sleep the line is a new one.
  useEffect(() => following(api, queries), [api, queries, wakes]);
}

function following(api: Api, queries: QueryClient): () => void {
  const gathered = gathering<News>(GATHER_MS, (news) => asksAnew(queries, news));
  let stop = () => {};
  let stood = false;
  const timer = setTimeout(() => {
    const address = () => api.get<LiveAddress>("/live", { what: "news" });
    stop = listen(address, readNews, {
      heard: gathered.add,
      // What happened before, or will from now on, nobody tells; and who asks learns how soon to ask again.
      connected(yes) {
        if (stood === yes) return;
        stood = yes;
        stands("news", yes);
        void queries.invalidateQueries({ predicate: ({ queryKey }) => isAboutTransfers(queryKey) });
      },
    });
  }, AFTER_MS);
  return () => {
    clearTimeout(timer);
    stop();
    gathered.stop();
    stands("news", false);
  };
}

async function asksAnew(queries: QueryClient, news: readonly News[]): Promise<void> {
  const changed = new Set(news.map(({ transfer_id }) => transfer_id));
  await queries.invalidateQueries({
    predicate: ({ queryKey }) =>
      isAboutTransfers(queryKey) && (queryKey[0] !== "transfer" || changed.has(String(queryKey[1]))),
  });
}

/** One, or lists of them. The month's sums are dear, and not of this second. */
function isAboutTransfers([what, which]: readonly unknown[]): boolean {
  return what === "transfer" || (what === "transfers" && which !== "overview");
}

export function readNews(payload: Uint8Array): News | null {
  try {
    const news = JSON.parse(new TextDecoder().decode(payload)) as Partial<News>;
    return typeof news.transfer_id === "string" ? { transfer_id: news.transfer_id } : null;
  } catch {
    return null;
  }
}
