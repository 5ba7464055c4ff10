import { useEffect, useState } from "react";
import { useApi } from "../appContext";
import type { LiveAddress } from "../types";
import { batchUpdates } from "./batchUpdates";
import { markConnected } from "./connectionState";
import { keepWatched } from "./keepWatched";
import { type LiveProgressByHop, mergeProgress } from "./mergeProgress";
import { type AgentLive, parseLive } from "./parseLive";
import { subscribe } from "./subscribe";
import { useResume } from "./useResume";

/** Agents report every hop once a second: batching renders the page twice a second, not 500 times. */
const BATCH_MS = 500;

/**
 * Subscribe to the live progress of one transfer, or of all (null), while there are `watched` ones: agents
 * publish these alone.
 */
export function useLive(
  transferId: string | null,
  watched: readonly string[],
): { received: LiveProgressByHop; connected: boolean } {
  const api = useApi();
  const [received, setReceived] = useState<LiveProgressByHop>(new Map());
  const [connected, setConnected] = useState(false);
  const resumeCount = useResume();
  const active = watched.length > 0;
  const watchedIds = watched.join(" ");
  useEffect(() => (watchedIds ? keepWatched(api, watchedIds.split(" ")) : undefined), [api, watchedIds]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: after a sleep the line is a new one.
  useEffect(() => {
    if (!active) return undefined;
    const address = () => api.get<LiveAddress>("/live", { transfer_id: transferId });
    const batch = batchUpdates<AgentLive>(BATCH_MS, (messages) =>
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
