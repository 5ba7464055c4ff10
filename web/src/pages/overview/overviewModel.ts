/** Model of the overview page, computed from lists and live progress. */
import { isClockWrong } from "../../format/times";
import { type LiveProgressByHop, liveProgressOf } from "../../live/mergeProgress";
import type { Agent, Attention, AttentionView, Location, TransferSummary } from "../../types";

export const S3_PLACE = "S3";
/** Free share of a root's size below which it is nearly full. */
const NEARLY_FULL_SHARE = 0.05;

export interface Edge {
  from: string;
  to: string;
  /** Number of active hops; 0: only recent ones. */
  hops: number;
  speed: number;
}

export function placeOf(location: Location): string {
  return location.kind === "s3" ? S3_PLACE : location.agent_id;
}

/** Return the ends of a transfer's hops: from the source, or in a chain from the previous destination. */
function hopsOf({ source, destinations, shape }: TransferSummary): { from: string; to: string }[] {
  return destinations.map((to, number) => {
    const before = destinations[number - 1];
    return { from: placeOf(shape === "chain" && before ? before : source), to: placeOf(to) };
  });
}

/** Return the edges between places: active ones first, then recent ones. */
export function edgesOf(
  running: readonly TransferSummary[],
  recent: readonly TransferSummary[],
  received: LiveProgressByHop,
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
    const live = liveProgressOf(transfer, received, now);
    // Without live progress, the API's own speed decides; it is 0 if unconfirmed.
    const silent = live.every((one) => one === null) && transfer.progress.bytes_per_second > 0;
    for (const [number, leg] of hopsOf(transfer).entries()) {
      const line = edge(leg);
      // Only live progress shows which of several hops are active.
      const moves = live[number] ?? (silent && (transfer.shape === "fan_out" || live.length === 1));
      if (moves) line.hops += 1;
      line.speed += live[number]?.bytes_per_second ?? 0;
    }
  }
  for (const transfer of recent) for (const leg of hopsOf(transfer)) edge(leg);
  return [...edges.values()].sort((one, other) => other.hops - one.hops || other.speed - one.speed);
}

export type AgentItem =
  | { kind: "offline" | "late" | "clock" | "rejectsCommands"; agent: Agent }
  | { kind: "nearlyFull" | "missing"; agent: Agent; root: Agent["roots"][number] };

export type AttentionItem =
  | AgentItem
  | { kind: Attention; transfer: TransferSummary }
  | { kind: Attention; count: number };

const URGENCY: AttentionItem["kind"][] = [
  "offline",
  "missing",
  "clock",
  "rejectsCommands",
  "awaiting_approval",
  "paused",
  "nearlyFull",
  "failed",
  "partially_failed",
  "late",
];

/**
 * Return what needs attention, most urgent first. The newest transfers of each reason are followed by the
 * count of all, if there are more.
 */
export function attentionItems(
  agents: readonly Agent[],
  { groups }: Pick<AttentionView, "groups">,
): AttentionItem[] {
  const items: AttentionItem[] = [];
  for (const agent of agents) {
    if (agent.status === "offline") items.push({ kind: "offline", agent });
    if (agent.status === "late") items.push({ kind: "late", agent });
    if (agent.status !== "offline" && isClockWrong(agent.skew)) items.push({ kind: "clock", agent });
    if (agent.status !== "offline" && agent.command_key_status === "none")
      items.push({ kind: "rejectsCommands", agent });
    for (const root of agent.status === "offline" ? [] : agent.roots) {
      if (root.free === null) items.push({ kind: "missing", agent, root });
      else if (root.access === "rw" && root.size && root.free < root.size * NEARLY_FULL_SHARE) {
        items.push({ kind: "nearlyFull", agent, root });
      }
    }
  }
  for (const { reason, count, newest } of groups) {
    for (const transfer of newest) items.push({ kind: reason, transfer });
    if (count > newest.length) items.push({ kind: reason, count });
  }
  return items.sort((one, other) => URGENCY.indexOf(one.kind) - URGENCY.indexOf(other.kind));
}
