import { useEffect, useState } from "react";
import { useApi } from "../context";
import type { Live, LiveAddress } from "../types";
import { listen } from "./listen";
import { type Heard, withLives } from "./merge";
import { onWake } from "./wake";

/** Agents speak once a second a hop: with 500 hops the page is drawn twice a second, not 500 times. */
const GATHER_MS = 500;

/** What the broker says about a transfer, or about all, while `active`; `connected` is false where polling has to do. */
export function useLive(transferId: string | null, active: boolean): { heard: Heard; connected: boolean } {
  const api = useApi();
  const [heard, setHeard] = useState<Heard>(new Map());
  const [connected, setConnected] = useState(false);
  const [wakes, setWakes] = useState(0);
  useEffect(() => onWake(() => setWakes((before) => before + 1)), []);
  // biome-ignore lint/correctness/useExhaustiveDependencies: after a sleep the line is a new one.
  useEffect(() => {
    if (!active) return undefined;
    const address = () => api.get<LiveAddress>("/live", { transfer_id: transferId });
    const gathered = gathering((lives) => setHeard((before) => withLives(before, lives, Date.now())));
    const stop = listen(address, { heard: gathered.add, connected: setConnected });
    return () => {
      stop();
      gathered.stop();
      setConnected(false);
    };
  }, [api, transferId, active, wakes]);
  return { heard, connected };
}

/** The first word at once, and what follows it together. */
function gathering(flush: (lives: Live[]) => void) {
  let waiting: Live[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  function tell(): void {
    timer = undefined;
    if (waiting.length === 0) return;
    flush(waiting);
    waiting = [];
    timer = setTimeout(tell, GATHER_MS);
  }
  return {
    add(live: Live) {
      waiting.push(live);
      if (timer === undefined) timer = setTimeout(tell, 0);
    },
    stop: () => clearTimeout(timer),
  };
}
