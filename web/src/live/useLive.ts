import { useEffect, useState } from "react";
import { useApi } from "../appContext";
import type { Live, LiveAddress } from "../types";
import { batchUpdates } from "./batchUpdates";
import { markConnected } from "./connectionState";
import { type LiveProgressByHop, mergeProgress } from "./mergeProgress";
import { parseJson, subscribe } from "./subscribe";
import { useResume } from "./useResume";

/** Agents speak once a second a hop: with 500 hops the page is drawn twice a second, not 500 times. */
const BATCH_MS = 500;

/** What the broker says about a transfer, or about all, while `active`; `connected` is false where polling has to do. */
export function useLive(
  transferId: string | null,
  active: boolean,
): { received: LiveProgressByHop; connected: boolean } {
  const api = useApi();
  const [received, setReceived] = useState<LiveProgressByHop>(new Map());
  const [connected, setConnected] = useState(false);
  const resumeCount = useResume();
  // biome-ignore lint/correctness/useExhaustiveDependencies: after a sleep the line is a new one.
  useEffect(() => {
    if (!active) return undefined;
    const address = () => api.get<LiveAddress>("/live", { transfer_id: transferId });
    const batch = batchUpdates<Live>(BATCH_MS, (messages) =>
      setReceived((before) => mergeProgress(before, messages, Date.now())),
    );
    const setConnectionState = (yes: boolean) => {
      setConnected(yes);
      markConnected("progress", yes);
    };
    setConnectionState(false);
    const stop = subscribe(address, parseLive, {
      onMessage: batch.add,
      onConnectionChange: setConnectionState,
    });
    return () => {
      stop();
      batch.stop();
      setConnected(false);
      markConnected("progress", null);
    };
  }, [api, transferId, active, resumeCount]);
  return { received, connected };
}

/** The message, if it is one; what it is not is dropped, since the next one comes within a second. */
export function parseLive(payload: Uint8Array): Live | null {
  const live = parseJson<Live>(payload);
  const whole = typeof live?.hop_id === "string" && typeof live.attempt === "number";
  return whole && typeof live.progress?.bytes_done === "number" ? (live as Live) : null;
}
