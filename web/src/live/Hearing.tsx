import { createContext, type ReactNode, useContext, useMemo } from "react";
import type { Heard } from "./merge";
import { useLive } from "./useLive";

interface Said {
  heard: Heard;
  /** Null while nobody listens. */
  connected: boolean | null;
}

const SaidContext = createContext<Said>({ heard: new Map(), connected: null });

/** Listens to all transfers while `active`. What is inside is drawn anew only where it asks with `useSaid`. */
export function Hearing({ active, children }: { active: boolean; children: ReactNode }) {
  const { heard, connected } = useLive(null, active);
  const said = useMemo(() => ({ heard, connected: active ? connected : null }), [heard, connected, active]);
  return <SaidContext value={said}>{children}</SaidContext>;
}

export function useSaid(): Said {
  return useContext(SaidContext);
}
