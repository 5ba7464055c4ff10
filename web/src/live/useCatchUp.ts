/** After sleep or lost network, refetch everything, and say that the page is outdated until that is done. */
import { type QueryClient, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { asProblem } from "../api/problem";
import { onResume } from "./useResume";

export type CatchUp =
  | { state: "offline" }
  /** `away`: seconds of absence. */
  | { state: "refreshing" | "refreshed"; away: number };

const OFFLINE: CatchUp = { state: "offline" };
const RETRY_DELAY_MS = 3_000;
const NOTICE_DURATION_MS = 8_000;

/** Return the state of catching up, or null if there is nothing to show. */
export function useCatchUp(): CatchUp | null {
  const queries = useQueryClient();
  const [now, setNow] = useState<CatchUp | null>(() => (navigator.onLine ? null : OFFLINE));
  useEffect(() => {
    const stop = startCatchUp(queries, setNow);
    const lost = () => setNow(OFFLINE);
    window.addEventListener("offline", lost);
    return () => {
      stop();
      window.removeEventListener("offline", lost);
    };
  }, [queries]);
  return now;
}

function startCatchUp(queries: QueryClient, report: (now: CatchUp | null) => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let currentRun = 0;

  async function refresh(away: number, run: number): Promise<void> {
    await queries.invalidateQueries();
    if (run !== currentRun) return;
    const complete = !hasUnansweredQuery(queries);
    if (complete) report({ state: "refreshed", away });
    timer = setTimeout(
      () => (complete ? report(null) : void refresh(away, run)),
      complete ? NOTICE_DURATION_MS : RETRY_DELAY_MS,
    );
  }

  const stop = onResume((away) => {
    clearTimeout(timer);
    currentRun += 1;
    report({ state: "refreshing", away });
    void refresh(away, currentRun);
  });
  return () => {
    currentRun += 1;
    clearTimeout(timer);
    stop();
  };
}

/** Return whether a query of this page got no response. A refusal is a response. */
function hasUnansweredQuery(queries: QueryClient): boolean {
  const shown = queries.getQueryCache().findAll({ type: "active" });
  return shown.some(({ state }) => state.status === "error" && asProblem(state.error).transient);
}
