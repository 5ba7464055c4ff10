/** After a sleep everything is asked for anew; until it is there, nobody may take what is shown for now. */
import { type QueryClient, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { asProblem } from "../api/problem";
import { onResume } from "./useResume";

export type CatchUp =
  | { state: "offline" }
  /** Seconds that it was away. */
  | { state: "refreshing" | "refreshed"; away: number };

const OFFLINE: CatchUp = { state: "offline" };
const RETRY_DELAY_MS = 3_000;
const NOTICE_DURATION_MS = 8_000;

/** How it stands; null when there is nothing to say. */
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

/** Did something that the page shows get no answer? A refusal is one. */
function hasUnansweredQuery(queries: QueryClient): boolean {
  const shown = queries.getQueryCache().findAll({ type: "active" });
  return shown.some(({ state }) => state.status === "error" && asProblem(state.error).transient);
}
