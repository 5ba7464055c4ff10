/** Model of the overview page, computed from lists and live progress. */
import { type LiveProgressByHop, liveProgressOf } from "../../live/mergeProgress";
import type {
  AgentSummary,
  AgentWarning,
  Attention,
  AttentionView,
  Location,
  TransferSummary,
} from "../../types";

export const S3_PLACE = "S3";

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
  | { kind: "offline" | "late"; agent: AgentSummary }
  | { kind: AgentWarning["kind"]; agent: AgentSummary; warning: AgentWarning };

export type AttentionItem =
  | AgentItem
  | { kind: "agents"; count: number }
  | { kind: Attention; transfer: TransferSummary }
  | { kind: Attention; count: number };

const URGENCY: AttentionItem["kind"][] = [
  "offline",
  "root_missing",
  "clock",
  "rejects_commands",
  "agents",
  "awaiting_approval",
  "paused",
  "root_nearly_full",
  "failed",
  "partially_failed",
  "late",
];

/**
 * Return what needs attention, most urgent first: the first agents, and the newest transfers of each reason,
 * each followed by the count of all, if there are more.
 */
export function attentionItems(
  agents: readonly AgentSummary[],
  agentsTotal: number,
  { groups }: Pick<AttentionView, "groups">,
): AttentionItem[] {
  const items: AttentionItem[] = agentsTotal > agents.length ? [{ kind: "agents", count: agentsTotal }] : [];
  for (const agent of agents) {
    if (agent.status !== "online") items.push({ kind: agent.status, agent });
    for (const warning of agent.warnings) items.push({ kind: warning.kind, agent, warning });
  }
  for (const { reason, count, newest } of groups) {
    for (const transfer of newest) items.push({ kind: reason, transfer });
    if (count > newest.length) items.push({ kind: reason, count });
  }
  return items.sort((one, other) => URGENCY.indexOf(one.kind) - URGENCY.indexOf(other.kind));
}
