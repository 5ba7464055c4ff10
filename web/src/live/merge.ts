/** One progress out of two sources: what the API stored (late but certain) and what the broker said (early). */
import type { Hop, HopState, Live, Progress } from "../types";

/** A live word, and when this page heard it: the agent's own clock may be anywhere. */
export type Said = Live & { heard_at: number };

/** Live progress by hop. */
export type Heard = ReadonlyMap<string, Said>;

/** After so long without a word the speed that was said last is no longer true. */
export const QUIET_MS = 10_000;

const MAY_MOVE: ReadonlySet<HopState> = new Set(["queued", "offered", "running", "verifying"]);

/** `heard` with these in it, except where something newer about the same hop is there already. */
export function withLives(heard: Heard, lives: readonly Live[], now: number): Heard {
  const after = new Map(heard);
  for (const live of lives) {
    const before = after.get(live.hop_id);
    if (!before || !isOlder(live, before)) after.set(live.hop_id, { ...live, heard_at: now });
  }
  return after;
}

/** Clocks of two agents differ: the attempt goes before the time. */
function isOlder(live: Live, before: Live): boolean {
  return live.attempt < before.attempt || (live.attempt === before.attempt && live.at < before.at);
}

/** The hop's progress now. Only the same attempt's live word counts, and only while the hop may move. */
export function progressOf(hop: Hop, heard: Heard, now: number): Progress {
  const live = heard.get(hop.hop_id);
  if (!live || live.attempt !== hop.attempt || !MAY_MOVE.has(hop.state)) {
    return hop.progress;
  }
  const newest = isFurther(hop.progress, live.progress) ? hop.progress : live.progress;
  const quiet = now - live.heard_at > QUIET_MS;
  return quiet ? { ...newest, bytes_per_second: hop.progress.bytes_per_second } : newest;
}

function isFurther(one: Progress, other: Progress): boolean {
  if (one.bytes_done !== other.bytes_done) return one.bytes_done > other.bytes_done;
  return one.files_done > other.files_done;
}

/** Several hops as one; a total is known when each one's is. */
export function summed(parts: Progress[]): Progress {
  return {
    bytes_done: sum(parts, (one) => one.bytes_done),
    bytes_total: total(parts, (one) => one.bytes_total),
    files_done: sum(parts, (one) => one.files_done),
    files_total: total(parts, (one) => one.files_total),
    bytes_unchanged: sum(parts, (one) => one.bytes_unchanged),
    files_unchanged: sum(parts, (one) => one.files_unchanged),
    files_removed: sum(parts, (one) => one.files_removed),
    bytes_per_second: sum(parts, (one) => one.bytes_per_second),
    current: parts.find((one) => one.current)?.current ?? null,
  };
}

function sum(parts: Progress[], read: (one: Progress) => number): number {
  return parts.reduce((subtotal, one) => subtotal + read(one), 0);
}

function total(parts: Progress[], read: (one: Progress) => number | null): number | null {
  return parts.some((one) => read(one) === null) ? null : sum(parts, (one) => read(one) ?? 0);
}
