/** The speed of a transfer over its whole life, and the times in which it did not move. */
import type { Hop, TimelineEntry } from "../types";

/** Times in seconds since 1970, each with the average speed since the one before. */
export interface SpeedSeries {
  times: number[];
  speeds: number[];
}

/** A time in which nothing moved, in seconds since 1970; `to` is null while it lasts. */
export interface Band {
  from: number;
  to: number | null;
  kind: "paused" | "waiting";
}

type Points = Hop["history"];

/** Return the speed of all hops together between the points of their histories. */
export function speedsOf(hops: readonly Pick<Hop, "history">[]): SpeedSeries {
  const times = [...new Set(hops.flatMap(({ history }) => history.map(([at]) => at)))].sort((a, b) => a - b);
  const totals = times.map((at) => hops.reduce((sum, { history }) => sum + bytesAt(history, at), 0));
  const speeds = times.map((at, number) => {
    const seconds = at - (times[number - 1] ?? at);
    return seconds > 0 ? Math.max(0, (totals[number] ?? 0) - (totals[number - 1] ?? 0)) / seconds : 0;
  });
  return { times, speeds };
}

/** Return the bytes that had arrived at a time, interpolated between two points. */
function bytesAt(history: Points, at: number): number {
  const next = history.findIndex(([time]) => time >= at);
  const after = history[next];
  const before = history[next - 1];
  if (!after) return history.at(-1)?.[1] ?? 0;
  if (!before) return after[0] === at ? after[1] : 0;
  const share = (at - before[0]) / (after[0] - before[0]);
  return before[1] + (after[1] - before[1]) * share;
}

/** Return when hops were paused, or waited for their next attempt, by the transfer's timeline. */
export function bandsOf(timeline: readonly Pick<TimelineEntry, "at" | "hop_id" | "state">[]): Band[] {
  const open = new Map<string, Band>();
  const bands: Band[] = [];
  let started = false;
  for (const { at, hop_id, state } of timeline) {
    if (!hop_id || !state) continue;
    const time = Date.parse(at) / 1000;
    const before = open.get(hop_id);
    if (before) before.to = time;
    open.delete(hop_id);
    started ||= state === "running";
    const kind = state === "paused" ? "paused" : started && state === "queued" ? "waiting" : null;
    if (!kind) continue;
    const band: Band = { from: time, to: null, kind };
    open.set(hop_id, band);
    bands.push(band);
  }
  return bands;
}
