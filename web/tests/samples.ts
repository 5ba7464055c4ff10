/** Samples of API types and messages from events/samples. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { AgentLive } from "../src/live/parseLive";
import type {
  Agent,
  AgentLog,
  AgentSummary,
  Fleet,
  Hop,
  Listing,
  Live,
  ProblemDetails,
  Progress,
  Template,
  Transfer,
} from "../src/types";

function read<T>(path: string): T {
  return JSON.parse(readFileSync(join(import.meta.dirname, "../../events/samples", path), "utf8")) as T;
}

export const agent = () => read<Agent>("views/AgentView.json");
export const agentLog = () => read<AgentLog>("views/AgentLogView.json");
export const agentSummary = () => read<AgentSummary>("views/AgentSummary.json");
export const fleet = () => read<Fleet>("views/FleetView.json");
export const listing = () => read<Listing>("views/ListingView.json");
/** A live message of the agent that carries out the sample hop. */
export const live = (): AgentLive => {
  const { destination } = hop();
  if (destination.kind === "s3") throw new Error("the sample's hop ends at no agent");
  return { ...read<Live>("progress/Live.json"), agent_id: destination.agent_id };
};
export const problemDetails = () => read<ProblemDetails>("views/ProblemDetails.json");
export const template = () => read<Template>("views/TemplateView.json");
export const transfer = () => read<Transfer>("views/TransferView.json");

export function hop(changes: Partial<Hop> = {}): Hop {
  const [first] = transfer().hops;
  if (!first) throw new Error("the sample has no hop");
  return {
    ...first,
    state: "running",
    attempt: 1,
    most_bytes: 0,
    history: [],
    seconds_at_work: 0,
    problem: null,
    failures: [],
    failures_total: 0,
    ...changes,
  };
}

export function progress(changes: Partial<Progress> = {}): Progress {
  return { ...live().progress, ...changes };
}
