/** After a sleep everything is asked for anew; until it is there, nobody may take what is shown for now. */
import { type QueryClient, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { asProblem } from "../api/problem";
import { onResume } from "./useResume";

export type CatchUp =
  | { state: "cut" }
  /** Seconds that it was away. */
  | { state: "asking" | "done"; away: number };

const CUT: CatchUp = { state: "cut" };
const RETRY_DELAY_MS = 3_000;
const READ_TIMEOUT_MS = 8_000;

/** How it stands; null when there is nothing to say. */
export function useCatchUp(): CatchUp | null {
  const queries = useQueryClient();
  const [now, setNow] = useState<CatchUp | null>(() => (navigator.onLine ? null : CUT));
  useEffect(() => {
    const stop = following(queries, setNow);
    const lost = () => setNow(CUT);
    window.addEventListener("offline", lost);
    return () => {
      stop();
      window.removeEventListener("offline", lost);
    };
  }, [queries]);
  return now;
}

function following(queries: QueryClient, tell: (now: CatchUp | null) => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let turn = 0;

  async function ask(away: number, mine: number): Promise<void> {
    await queries.invalidateQueries();
    if (mine !== turn) return;
    const there = !lacking(queries);
    if (there) tell({ state: "done", away });
    timer = setTimeout(
      () => (there ? tell(null) : void ask(away, mine)),
      there ? READ_TIMEOUT_MS : RETRY_DELAY_MS,
    );
  }

  const stop = onResume((away) => {
    clearTimeout(timer);
    turn += 1;
    tell({ state: "asking", away });
    void ask(away, turn);
  });
  return () => {
    turn += 1;
    clearTimeout(timer);
    stop();
  };
}

/** Did something that the page shows get no answer? A refusal is one. */
function lacking(queries: QueryClient): boolean {
  const shown = queries.getQueryCache().findAll({ type: "active" });
  return shown.some(({ state }) => state.status === "error" && asProblem(state.error).passing);
}
