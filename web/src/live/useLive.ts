import { useEffect, useState } from "react";
import { useApi } from "../context";
import type { LiveAddress } from "../types";
import { listen } from "./listen";
import { type Heard, withLive } from "./merge";

/** What the broker says about a transfer, while `active`; `connected` is false where polling has to do. */
export function useLive(transferId: string, active: boolean): { heard: Heard; connected: boolean } {
  const api = useApi();
  const [heard, setHeard] = useState<Heard>(new Map());
  const [connected, setConnected] = useState(false);
  useEffect(() => {
    if (!active) return undefined;
    const address = () => api.get<LiveAddress>("/live", { transfer_id: transferId });
    const stop = listen(address, {
      heard: (live) => setHeard((before) => withLive(before, live)),
      connected: setConnected,
    });
    return () => {
      stop();
      setConnected(false);
    };
  }, [api, transferId, active]);
  return { heard, connected };
}
