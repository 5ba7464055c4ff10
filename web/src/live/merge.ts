/** One progress out of two sources: what the API stored (late but certain) and what the broker said (early). */
import type { Hop, HopState, Live, Progress, TransferSummary } from "../types";

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

/** Live words of a transfer by its hops' numbers; null where nothing was heard for a while. */
export function saidOf(transfer: TransferSummary, heard: Heard, now: number): (Progress | null)[] {
  return transfer.destinations.map((_, number) => {
    const live = heard.get(`${transfer.transfer_id}-${number}`);
    return live && now - live.heard_at <= QUIET_MS ? live.progress : null;
  });
}

/** A transfer's progress now: never less than what is stored, at the speed that was said last. */
export function progressNow(transfer: TransferSummary, heard: Heard, now: number): Progress {
  const said = saidOf(transfer, heard, now).filter((one) => one !== null);
  if (said.length === 0) return transfer.progress;
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
    short: null, // each hop has a disk of its own
    current: parts.find((one) => one.current)?.current ?? null,
  };
}

function sum(parts: Progress[], read: (one: Progress) => number): number {
  return parts.reduce((subtotal, one) => subtotal + read(one), 0);
}

function total(parts: Progress[], read: (one: Progress) => number | null): number | null {
  return parts.some((one) => read(one) === null) ? null : sum(parts, (one) => read(one) ?? 0);
}
