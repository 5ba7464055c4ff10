import { createContext, type ReactNode, useContext, useMemo } from "react";
import type { LiveProgressByHop } from "./mergeProgress";
import { useLive } from "./useLive";

interface LiveProgressValue {
  received: LiveProgressByHop;
  /** Null while nobody listens. */
  connected: boolean | null;
  /** When the API was asked last. */
  fetchedAt: number;
}

const LiveProgressContext = createContext<LiveProgressValue>({
  received: new Map(),
  connected: null,
  fetchedAt: 0,
});

/** Listens to all transfers while `active`. What is inside is drawn anew only where it asks with `useSaid`. */
export function LiveProgressProvider({
  active,
  fetchedAt,
  children,
}: {
  active: boolean;
  fetchedAt: number;
  children: ReactNode;
}) {
  const { received, connected } = useLive(null, active);
  const value = useMemo(
    () => ({ received, connected: active ? connected : null, fetchedAt }),
    [received, connected, active, fetchedAt],
  );
  return <LiveProgressContext value={value}>{children}</LiveProgressContext>;
}

export function useLiveProgress(): LiveProgressValue {
  return useContext(LiveProgressContext);
}
