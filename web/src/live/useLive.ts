import { useEffect, useState } from "react";
import { useApi } from "../context";
import type { Live, LiveAddress } from "../types";
import { gathering } from "./gather";
import { stands } from "./lines";
import { jsonIn, listen } from "./listen";
import { type Heard, withLives } from "./merge";
import { useWakes } from "./wake";

/** Agents speak once a second a hop: with 500 hops the page is drawn twice a second, not 500 times. */
const GATHER_MS = 500;

/** What the broker says about a transfer, or about all, while `active`; `connected` is false where polling has to do. */
export function useLive(transferId: string | null, active: boolean): { heard: Heard; connected: boolean } {
  const api = useApi();
  const [heard, setHeard] = useState<Heard>(new Map());
  const [connected, setConnected] = useState(false);
  const wakes = useWakes();
  // biome-ignore lint/correctness/useExhaustiveDependencies: after a sleep the line is a new one.
  useEffect(() => {
    if (!active) return undefined;
    const address = () => api.get<LiveAddress>("/live", { transfer_id: transferId });
    const gathered = gathering<Live>(GATHER_MS, (lives) =>
      setHeard((before) => withLives(before, lives, Date.now())),
    );
    const tell = (yes: boolean) => {
      setConnected(yes);
      stands("progress", yes);
    };
    tell(false);
    const stop = listen(address, readLive, { heard: gathered.add, connected: tell });
    return () => {
      stop();
      gathered.stop();
      setConnected(false);
      stands("progress", null);
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
