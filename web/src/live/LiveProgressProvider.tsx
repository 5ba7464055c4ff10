import { createContext, type ReactNode, useContext, useMemo } from "react";
import type { LiveProgressByHop } from "./mergeProgress";
import { useLive } from "./useLive";

interface LiveProgressValue {
  received: LiveProgressByHop;
  /** Null while not subscribed. */
  connected: boolean | null;
  /** When the API last answered, in milliseconds since 1970. */
  fetchedAt: number;
}

const LiveProgressContext = createContext<LiveProgressValue>({
  received: new Map(),
  connected: null,
  fetchedAt: 0,
});

/** Subscribe while there are `watched` transfers. Only components with `useLiveProgress` render again. */
export function LiveProgressProvider({
  watched,
  fetchedAt,
  children,
}: {
  watched: readonly string[];
  fetchedAt: number;
  children: ReactNode;
}) {
  const { received, connected } = useLive(null, watched);
  const active = watched.length > 0;
  const value = useMemo(
    () => ({ received, connected: active ? connected : null, fetchedAt }),
    [received, connected, active, fetchedAt],
  );
  return <LiveProgressContext value={value}>{children}</LiveProgressContext>;
}

export function useLiveProgress(): LiveProgressValue {
  return useContext(LiveProgressContext);
}
