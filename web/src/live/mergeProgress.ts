/** One progress out of two sources: what the API stored (late but certain) and what the broker said (early). */
import { nameOf } from "../format/names";
import type { Hop, HopState, Live, Progress, TransferSummary } from "../types";

/** A live word, and when this page heard it: the agent's own clock may be anywhere. */
export type LiveProgress = Live & { heard_at: number };

/** Live progress by hop. */
export type LiveProgressByHop = ReadonlyMap<string, LiveProgress>;

/** After so long without a word the speed that was said last is no longer true. */
export const QUIET_AFTER_MS = 15_000;

/** A pause is stored at once; how much it leaves of what was under way, the agent says a moment later. */
const SETTLE_TIME_MS = 5_000;

const MAY_MOVE: ReadonlySet<HopState> = new Set(["queued", "offered", "running", "verifying"]);

/** `heard` with these in it, except where something newer about the same hop is there already. */
export function mergeProgress(
  heard: LiveProgressByHop,
  lives: readonly Live[],
  now: number,
): LiveProgressByHop {
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

/**
 * The hop's progress now. Only the same attempt's live word counts, and only while the hop may move. `asked`: when
 * the API said what is stored; it leaves out a speed that is old, but may itself not have answered since.
 */
export function progressOf(hop: Hop, heard: LiveProgressByHop, now: number, asked: number): Progress {
  const progress = furthest(hop, liveOf(hop, heard, now), now, asked);
  // A source that is one file has no path within itself.
  return progress.current === "" ? { ...progress, current: nameOf(hop.source) } : progress;
}

function furthest(hop: Hop, live: LiveProgress | null, now: number, asked: number): Progress {
  const stored = confirmed(hop.progress, now, asked);
  if (!live) return stored;
  const { bytes_per_second } =
    now - live.heard_at > QUIET_AFTER_MS || !MAY_MOVE.has(hop.state) ? stored : live.progress;
  return { ...(isFurther(stored, live.progress) ? stored : live.progress), bytes_per_second };
}

/** Seconds since anybody has heard of a hop at work; null while they are no cause to wonder. */
export function secondsSinceReport(
  hop: Hop,
  heard: LiveProgressByHop,
  now: number,
  asked: number,
): number | null {
  if (hop.seconds_since_report === null) return null;
  const last = Math.max(asked - hop.seconds_since_report * 1000, liveOf(hop, heard, now)?.heard_at ?? 0);
  return now - last > QUIET_AFTER_MS ? (now - last) / 1000 : null;
}

function liveOf(hop: Hop, heard: LiveProgressByHop, now: number): LiveProgress | null {
  const live = heard.get(hop.hop_id);
  if (!live || live.attempt !== hop.attempt) return null;
  const settles = hop.state === "paused" && now - live.heard_at <= SETTLE_TIME_MS;
  return settles || MAY_MOVE.has(hop.state) ? live : null;
}

/** What nobody has confirmed lately is no speed. */
function confirmed(stored: Progress, now: number, asked: number): Progress {
  return now - asked > QUIET_AFTER_MS && stored.bytes_per_second > 0
    ? { ...stored, bytes_per_second: 0 }
    : stored;
}

function isFurther(one: Progress, other: Progress): boolean {
  if (one.bytes_done !== other.bytes_done) return one.bytes_done > other.bytes_done;
  return one.files_done > other.files_done;
}

/** Live words of a transfer by its hops' numbers; null where nothing was heard for a while. */
export function liveProgressOf(
  transfer: TransferSummary,
  heard: LiveProgressByHop,
  now: number,
): (Progress | null)[] {
  return transfer.destinations.map((_, number) => {
    const live = heard.get(`${transfer.transfer_id}-${number}`);
    return live && now - live.heard_at <= QUIET_AFTER_MS ? live.progress : null;
  });
}

/** A transfer's progress now: never less than what is stored, at the speed that was said last. */
export function progressNow(
  transfer: TransferSummary,
  heard: LiveProgressByHop,
  now: number,
  asked: number,
): Progress {
  const said = liveProgressOf(transfer, heard, now).filter((one) => one !== null);
  if (said.length === 0) return confirmed(transfer.progress, now, asked);
  const sum = (read: (one: Progress) => number) => said.reduce((total, one) => total + read(one), 0);
  const [only] = said;
  const whole = only && transfer.destinations.length === 1 ? only : transfer.progress;
  return {
    ...whole,
    bytes_done: Math.max(
      transfer.progress.bytes_done,
      sum((one) => one.bytes_done),
    ),
    files_done: Math.max(
      transfer.progress.files_done,
      sum((one) => one.files_done),
    ),
    bytes_per_second: sum((one) => one.bytes_per_second),
  };
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
    space_shortage: null, // each hop has a disk of its own
    current: parts.find((one) => one.current)?.current ?? null,
  };
}

function sum(parts: Progress[], read: (one: Progress) => number): number {
  return parts.reduce((subtotal, one) => subtotal + read(one), 0);
}

function total(parts: Progress[], read: (one: Progress) => number | null): number | null {
  return parts.some((one) => read(one) === null) ? null : sum(parts, (one) => read(one) ?? 0);
}
