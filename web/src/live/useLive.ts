import { useEffect, useState } from "react";
import { useApi } from "../appContext";
import type { Live, LiveAddress } from "../types";
import { batchUpdates } from "./batchUpdates";
import { markConnected } from "./connectionState";
import { type LiveProgressByHop, mergeProgress } from "./mergeProgress";
import { jsonIn, subscribe } from "./subscribe";
import { useResume } from "./useResume";

/** Agents speak once a second a hop: with 500 hops the page is drawn twice a second, not 500 times. */
const BATCH_MS = 500;

/** What the broker says about a transfer, or about all, while `active`; `connected` is false where polling has to do. */
export function useLive(
  transferId: string | null,
  active: boolean,
): { heard: LiveProgressByHop; connected: boolean } {
  const api = useApi();
  const [heard, setHeard] = useState<LiveProgressByHop>(new Map());
  const [connected, setConnected] = useState(false);
  const wakes = useResume();
  // biome-ignore lint/correctness/useExhaustiveDependencies: after a sleep the line is a new one.
  useEffect(() => {
    if (!active) return undefined;
    const address = () => api.get<LiveAddress>("/live", { transfer_id: transferId });
    const gathered = batchUpdates<Live>(BATCH_MS, (lives) =>
      setHeard((before) => mergeProgress(before, lives, Date.now())),
    );
    const tell = (yes: boolean) => {
      setConnected(yes);
      markConnected("progress", yes);
    };
    tell(false);
    const stop = subscribe(address, readLive, { heard: gathered.add, connected: tell });
    return () => {
      stop();
      gathered.stop();
      setConnected(false);
      markConnected("progress", null);
    };
  }, [api, transferId, active, wakes]);
  return { heard, connected };
}

/** The message, if it is one; what it is not is dropped, since the next one comes within a second. */
export function readLive(payload: Uint8Array): Live | null {
  const live = jsonIn<Live>(payload);
  const whole = typeof live?.hop_id === "string" && typeof live.attempt === "number";
  return whole && typeof live.progress?.bytes_done === "number" ? (live as Live) : null;
}
