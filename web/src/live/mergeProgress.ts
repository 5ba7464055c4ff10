/**
 * Merge progress from two sources: stored by the API (late but certain), and live from the broker (early).
 */
import { baseName } from "../format/names";
import type { Hop, HopState, Location, Progress, TransferSummary } from "../types";
import type { AgentLive } from "./parseLive";

/** A live message with its time of arrival by this browser's clock, since agents' clocks may be wrong. */
export type LiveProgress = AgentLive & { received_at: number };

/** Progress of a hop; `compared`: bytes compared again so far by an attempt that has not caught up yet. */
export type HopProgress = Progress & { compared?: number };

/** Live progress by agent and hop ID: no agent can replace what another reports. */
export type LiveProgressByHop = ReadonlyMap<string, LiveProgress>;

/** Milliseconds without a message after which the last reported speed no longer counts. */
export const STALE_AFTER_MS = 15_000;

/** Hops for which one agent's messages are kept; more than any agent works on. */
const MAX_HOPS_PER_AGENT = 1_000;

/** Milliseconds after a pause in which the agent still reports its final progress. */
const PAUSE_SETTLE_MS = 5_000;

const ENDED_STATES: ReadonlySet<HopState> = new Set(["succeeded", "failed", "cancelled"]);
const ACTIVE_STATES: ReadonlySet<HopState> = new Set(["queued", "offered", "running", "verifying"]);

/** Return `received` with these messages added, except where a newer one of the same hop is present. */
export function mergeProgress(
  received: LiveProgressByHop,
  lives: readonly AgentLive[],
  now: number,
): LiveProgressByHop {
  const after = new Map(received);
  for (const live of lives) {
    const key = liveKey(live.agent_id, live.hop_id);
    const before = after.get(key);
    if (before ? isOlder(live, before) : isFull(after, live.agent_id)) continue;
    after.set(key, { ...live, received_at: now });
  }
  return after;
}

/** Return the key of a hop's live progress, as reported by this agent. */
export function liveKey(agentId: string, hopId: string): string {
  return `${agentId} ${hopId}`;
}

function isFull(received: LiveProgressByHop, agentId: string): boolean {
  let hops = 0;
  for (const live of received.values()) if (live.agent_id === agentId) hops += 1;
  return hops >= MAX_HOPS_PER_AGENT;
}

/** Return the agent that carries out a hop and reports about it: the destination's, or the only one. */
function carrierOf(source: Location, destination: Location): string {
  const [agentEnd] = [destination, source].filter((end) => end.kind !== "s3");
  return agentEnd?.agent_id ?? "";
}

/** Compare by attempt first, then by time, since clocks of two agents may differ. */
function isOlder(live: AgentLive, before: AgentLive): boolean {
  return live.attempt < before.attempt || (live.attempt === before.attempt && live.at < before.at);
}

/**
 * Return the hop's current progress. Live progress counts only for the same attempt and while the hop is
 * active. `fetchedAt` is when the API answered: it reports no stale speed, but may not have answered since.
 */
export function progressOf(
  hop: Hop,
  received: LiveProgressByHop,
  now: number,
  fetchedAt: number,
): HopProgress {
  const progress = neverLess(hop, combine(hop, liveProgressFor(hop, received, now), now, fetchedAt));
  // A source that is a single file has an empty relative path.
  return progress.current === "" ? { ...progress, current: baseName(hop.source) } : progress;
}

function combine(hop: Hop, live: LiveProgress | null, now: number, fetchedAt: number): Progress {
  const stored = dropStaleSpeed(hop.progress, now, fetchedAt);
  if (!live) return stored;
  const { bytes_per_second } =
    now - live.received_at > STALE_AFTER_MS || !ACTIVE_STATES.has(hop.state) ? stored : live.progress;
  return { ...(isAhead(stored, live.progress) ? stored : live.progress), bytes_per_second };
}

/** Return the progress with at least the bytes that had arrived before, which a new attempt compares first. */
function neverLess(hop: Hop, progress: Progress): HopProgress {
  const before = Math.min(hop.most_bytes, progress.bytes_total ?? Number.POSITIVE_INFINITY);
  if (ENDED_STATES.has(hop.state) || progress.bytes_done >= before) return progress;
  const compares = hop.state === "running" || hop.state === "offered";
  return { ...progress, bytes_done: before, ...(compares && { compared: progress.bytes_done }) };
}

/** Return the seconds since the last report about a running hop, or null while they are not unusual. */
export function secondsSinceReport(
  hop: Hop,
  received: LiveProgressByHop,
  now: number,
  fetchedAt: number,
): number | null {
  if (hop.seconds_since_report === null) return null;
  const last = Math.max(
    fetchedAt - hop.seconds_since_report * 1000,
    liveProgressFor(hop, received, now)?.received_at ?? 0,
  );
  return now - last > STALE_AFTER_MS ? (now - last) / 1000 : null;
}

function liveProgressFor(hop: Hop, received: LiveProgressByHop, now: number): LiveProgress | null {
  const live = received.get(liveKey(carrierOf(hop.source, hop.destination), hop.hop_id));
  if (!live || live.attempt !== hop.attempt) return null;
  const settles = hop.state === "paused" && now - live.received_at <= PAUSE_SETTLE_MS;
  return settles || ACTIVE_STATES.has(hop.state) ? live : null;
}

/** Return stored progress with speed 0 if the API has not confirmed it lately. */
function dropStaleSpeed(stored: Progress, now: number, fetchedAt: number): Progress {
  return now - fetchedAt > STALE_AFTER_MS && stored.bytes_per_second > 0
    ? { ...stored, bytes_per_second: 0 }
    : stored;
}

function isAhead(one: Progress, other: Progress): boolean {
  if (one.bytes_done !== other.bytes_done) return one.bytes_done > other.bytes_done;
  return one.files_done > other.files_done;
}

/** Return the live progress of a transfer by hop number; null where no recent message exists. */
export function liveProgressOf(
  transfer: TransferSummary,
  received: LiveProgressByHop,
  now: number,
): (Progress | null)[] {
  const { source, destinations, shape, transfer_id } = transfer;
  return destinations.map((destination, number) => {
    const from = (shape === "chain" && destinations[number - 1]) || source;
    const live = received.get(liveKey(carrierOf(from, destination), `${transfer_id}-${number}`));
    return live && now - live.received_at <= STALE_AFTER_MS ? live.progress : null;
  });
}

/** Return a transfer's current progress: never less than stored, at the last reported speed. */
export function progressNow(
  transfer: TransferSummary,
  received: LiveProgressByHop,
  now: number,
  fetchedAt: number,
): Progress {
  const live = liveProgressOf(transfer, received, now).filter((one) => one !== null);
  if (live.length === 0) return dropStaleSpeed(transfer.progress, now, fetchedAt);
  const sum = (read: (one: Progress) => number) => live.reduce((total, one) => total + read(one), 0);
  const [only] = live;
  const whole = only && transfer.destinations.length === 1 ? only : transfer.progress;
  // Each hop carries the same files, and one that sends no messages has nothing newer than is stored.
  const hops = transfer.destinations.length;
  const once = (read: (one: Progress) => number) => Math.floor(sum(read) / hops);
  return {
    ...whole,
    bytes_done: Math.max(
      transfer.progress.bytes_done,
      once((one) => one.bytes_done),
    ),
    files_done: Math.max(
      transfer.progress.files_done,
      once((one) => one.files_done),
    ),
    bytes_per_second: sum((one) => one.bytes_per_second),
  };
}

/**
 * Return a transfer's progress from that of its hops, each of which carries the same files: each file counts
 * once. A hop without totals (it waits for the one before) counts with the transfer's. The same as
 * `Progress.of_hops` of the control plane.
 */
export function transferProgress(parts: HopProgress[]): HopProgress {
  const bytesOnce = (done: (one: HopProgress) => number) =>
    countedOnce(parts, done, (one) => one.bytes_total);
  const [bytes_done, bytes_total] = bytesOnce((one) => one.bytes_done);
  const [files_done, files_total] = countedOnce(
    parts,
    (one) => one.files_done,
    (one) => one.files_total,
  );
  const compares = parts.some((one) => one.compared !== undefined);
  return {
    ...(compares && { compared: bytesOnce((one) => one.compared ?? one.bytes_done)[0] }),
    bytes_done,
    bytes_total,
    files_done,
    files_total,
    bytes_unchanged: most(parts.map((one) => one.bytes_unchanged)),
    files_unchanged: most(parts.map((one) => one.files_unchanged)),
    bytes_moved: sum(parts, (one) => one.bytes_moved),
    files_moved: sum(parts, (one) => one.files_moved),
    files_removed: sum(parts, (one) => one.files_removed),
    lost: {
      xattr: sum(parts, (one) => one.lost.xattr),
      acl: sum(parts, (one) => one.lost.acl),
      setid: sum(parts, (one) => one.lost.setid),
      mode: sum(parts, (one) => one.lost.mode),
      time: sum(parts, (one) => one.lost.time),
      name: sum(parts, (one) => one.lost.name),
    },
    bytes_per_second: sum(parts, (one) => one.bytes_per_second),
    space_shortage: null, // each hop has its own destination disk
    current: parts.find((one) => one.current)?.current ?? null,
  };
}

function sum(parts: HopProgress[], read: (one: HopProgress) => number): number {
  return parts.reduce((subtotal, one) => subtotal + read(one), 0);
}

/** Return done and total of what several hops carry. */
function countedOnce(
  parts: HopProgress[],
  done: (one: HopProgress) => number,
  total: (one: HopProgress) => number | null | undefined,
): [number, number | null] {
  const known = parts.map(total).filter((one) => one !== null && one !== undefined);
  const whole = most(known);
  if (whole === 0) return [most(parts.map(done)), known.length > 0 ? 0 : null];
  const work = sum(parts, (one) => total(one) ?? whole);
  return [Math.floor(whole * (sum(parts, done) / work)), whole];
}

function most(values: number[]): number {
  return Math.max(0, ...values);
}
