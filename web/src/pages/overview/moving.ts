/** What the first page says, out of lists and live words: no request, no drawing. */
import { type Heard, QUIET_MS } from "../../live/merge";
import type { Agent, Location, Progress, TransferSummary } from "../../types";

export const S3_PLACE = "S3";
/** Below this share of its size a root is nearly full. */
const SCARCE = 0.05;

export interface Edge {
  from: string;
  to: string;
  /** Hops that carry bytes now; none: they did lately. */
  hops: number;
  speed: number;
}

export function placeOf(location: Location): string {
  return location.kind === "s3" ? S3_PLACE : location.agent_id;
}

/** A transfer's hops, as far as its summary tells: each destination from the source, or from the one before. */
function legs({ source, destinations, shape }: TransferSummary): { from: string; to: string }[] {
  return destinations.map((to, number) => {
    const before = destinations[number - 1];
    return { from: placeOf(shape === "chain" && before ? before : source), to: placeOf(to) };
  });
}

/** Live words of a transfer by its hops' numbers; null where nothing was heard for a while. */
function words(transfer: TransferSummary, heard: Heard, now: number): (Progress | null)[] {
  return transfer.destinations.map((_, number) => {
    const live = heard.get(`${transfer.transfer_id}-${number}`);
    return live && now - Date.parse(live.at) <= QUIET_MS ? live.progress : null;
  });
}

/** A transfer's progress now: never less than what is stored, at the speed that was said last. */
export function progressNow(transfer: TransferSummary, heard: Heard, now: number): Progress {
  const said = words(transfer, heard, now).filter((one) => one !== null);
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

/** Who sends to whom: lines that carry bytes now, then those that did lately. */
export function edgesOf(
  running: readonly TransferSummary[],
  recent: readonly TransferSummary[],
  heard: Heard,
  now: number,
): Edge[] {
  const edges = new Map<string, Edge>();
  const edge = ({ from, to }: { from: string; to: string }): Edge => {
    const key = `${from} ${to}`;
    const known = edges.get(key) ?? { from, to, hops: 0, speed: 0 };
    edges.set(key, known);
    return known;
  };
  for (const transfer of running) {
    const said = words(transfer, heard, now);
    for (const [number, leg] of legs(transfer).entries()) {
      const line = edge(leg);
      // In a chain only one hop moves at a time, and only a live word tells which.
      const moves = said[number] ?? (transfer.shape === "fan_out" || transfer.destinations.length === 1);
      if (moves) line.hops += 1;
      line.speed += said[number]?.bytes_per_second ?? 0;
    }
  }
  for (const transfer of recent) for (const leg of legs(transfer)) edge(leg);
  return [...edges.values()].sort((one, other) => other.hops - one.hops || other.speed - one.speed);
}

export type Care =
  | { kind: "down" | "late"; agent: Agent }
  | { kind: "full" | "missing"; agent: Agent; root: Agent["roots"][number] }
  | { kind: "failed" | "approval"; transfer: TransferSummary };

const URGENCY: Care["kind"][] = ["down", "missing", "approval", "full", "failed", "late"];

/** What needs a person, the most urgent first. A transfer that failed counts for a day. */
export function caresOf(
  agents: readonly Agent[],
  transfers: readonly TransferSummary[],
  now: number,
): Care[] {
  const cares: Care[] = [];
  for (const agent of agents) {
    if (agent.status === "offline") cares.push({ kind: "down", agent });
    if (agent.status === "late") cares.push({ kind: "late", agent });
    for (const root of agent.status === "offline" ? [] : agent.roots) {
      if (root.free === null) cares.push({ kind: "missing", agent, root });
      else if (root.access === "rw" && root.size && root.free < root.size * SCARCE) {
        cares.push({ kind: "full", agent, root });
      }
    }
  }
  for (const transfer of transfers) {
    const ended = Date.parse(transfer.ended_at ?? transfer.created_at);
    const failed = transfer.state === "failed" || transfer.state === "partially_failed";
    if (transfer.state === "awaiting_approval") cares.push({ kind: "approval", transfer });
    if (failed && now - ended < 86_400_000) cares.push({ kind: "failed", transfer });
  }
  return cares.sort((one, other) => URGENCY.indexOf(one.kind) - URGENCY.indexOf(other.kind));
}
