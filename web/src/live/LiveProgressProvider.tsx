import { createContext, type ReactNode, useContext, useMemo } from "react";
import type { LiveProgressByHop } from "./mergeProgress";
import { useLive } from "./useLive";

interface Said {
  heard: LiveProgressByHop;
  /** Null while nobody listens. */
  connected: boolean | null;
  /** When the API was asked last. */
  asked: number;
}

const LiveProgressContext = createContext<Said>({ heard: new Map(), connected: null, asked: 0 });

/** Listens to all transfers while `active`. What is inside is drawn anew only where it asks with `useSaid`. */
export function LiveProgressProvider({
  active,
  asked,
  children,
}: {
  active: boolean;
  asked: number;
  children: ReactNode;
}) {
  const { heard, connected } = useLive(null, active);
  const said = useMemo(
    () => ({ heard, connected: active ? connected : null, asked }),
    [heard, connected, active, asked],
  );
  return <LiveProgressContext value={said}>{children}</LiveProgressContext>;
}

export function useLiveProgress(): Said {
  return useContext(LiveProgressContext);
}
