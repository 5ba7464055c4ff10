/** Agents in short: sums, and what needs attention. */
import type { AgentCounts } from "../types";

/** Return how many agents there are. */
export function total({ online, late, offline }: AgentCounts): number {
  return online + late + offline;
}
