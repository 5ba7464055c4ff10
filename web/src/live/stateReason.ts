/** Why a transfer, or one of its hops, is in its state: said once, beside the state. */
import { safeText } from "../format/names";
import { problemWords } from "../format/problems";
import { duration } from "../format/sizes";
import { local } from "../format/times";
import { t } from "../i18n";
import type { Agent, AgentSummary, Hop, Problem, Transfer } from "../types";
import { type LiveProgressByHop, secondsSinceReport } from "./mergeProgress";

/** How an agent is, as far as it is a reason. */
export type AgentState = Pick<AgentSummary, "agent_id" | "status" | "last_heartbeat" | "drain">;

/** What is known at this moment, apart from the transfer itself. */
export interface Known {
  agents: readonly AgentState[];
  received: LiveProgressByHop;
  /** The time, and when the API answered, in milliseconds since 1970. */
  now: number;
  fetchedAt: number;
}

export interface StateReason {
  text: string;
  /** Whether the state is other than it should be, so that it must not look healthy. */
  warns: boolean;
}

/** Return the reason of the transfer's state: that of its first hop that has one, warnings first. */
export function transferReason(transfer: Transfer, known: Known): StateReason | null {
  const reasons = transfer.hops.map((hop) => hopReason(hop, known)).filter((one) => one !== null);
  const ended = transfer.problem ? { text: problemTitle(transfer.problem), warns: false } : null;
  return transfer.ended_at ? ended : (reasons.find((one) => one.warns) ?? reasons[0] ?? null);
}

/** Return the reason of a hop's state; null if the state says all. */
export function hopReason(hop: Hop, known: Known): StateReason | null {
  switch (hop.state) {
    case "running":
    case "verifying":
      return silence(hop, known);
    case "offered":
      return silence(hop, known) ?? { text: t().reason.offered, warns: false };
    case "queued":
      return queueReason(hop, known);
    case "waiting":
      return { text: t().reason.previousHop, warns: false };
    case "paused":
    case "failed":
    case "cancelled":
      return hop.problem ? { text: problemTitle(hop.problem), warns: hop.state === "paused" } : null;
    default:
      return null;
  }
}

/** Return which agent has not been heard, and for how long. */
function silence(hop: Hop, { agents, received, now, fetchedAt }: Known): StateReason | null {
  const quiet = secondsSinceReport(hop, received, now, fetchedAt);
  // The last of the agents, the destination's, carries the hop out and reports.
  const carrier = hop.agents.at(-1);
  if (quiet !== null && carrier) {
    return { text: t().reason.notHeard(carrier, duration(quiet)), warns: true };
  }
  const away = agents.find(({ agent_id, status }) => hop.agents.includes(agent_id) && status !== "online");
  if (!away) return null;
  return { text: awayText(away, now), warns: true };
}

function awayText({ agent_id, last_heartbeat }: AgentState, now: number): string {
  if (!last_heartbeat) return t().reason.neverHeard(agent_id);
  return t().reason.notHeard(agent_id, duration((now - Date.parse(last_heartbeat)) / 1000));
}

/** Return who drained an agent, and until when it gets no new hops. */
export function drainText({ agent_id, drain }: Pick<Agent, "agent_id" | "drain">): string {
  if (!drain) return "";
  const until = drain.until ? t().reason.until(local(drain.until)) : "";
  const kind = drain.maintenance ? t().reason.maintenance : t().reason.drained;
  return (
    kind(safeText(agent_id), safeText(drain.by.name), until) + (drain.why ? `: ${safeText(drain.why)}` : "")
  );
}

/** Return why a queued hop has not started: a missing agent, a failed attempt, or only its turn. */
function queueReason(hop: Hop, { agents, now }: Known): StateReason {
  const away = agents.filter(({ agent_id, status }) => hop.agents.includes(agent_id) && status !== "online");
  const [first] = away;
  if (first) return { text: t().reason.waitsFor(awayText(first, now)), warns: true };
  const drained = agents.find(({ agent_id, drain }) => hop.agents.includes(agent_id) && drain);
  if (drained) return { text: drainText(drained), warns: true };
  const left = hop.retry_at ? (Date.parse(hop.retry_at) - now) / 1000 : 0;
  const next = left >= 1 ? t().reason.nextAttempt(duration(left)) : t().reason.attemptDue;
  if (hop.problem) return { text: `${problemTitle(hop.problem)} · ${next}`, warns: true };
  return { text: hop.retry_at ? next : t().reason.turn, warns: false };
}

function problemTitle(problem: Problem): string {
  const { title, message } = problemWords(problem);
  return title ?? message;
}
