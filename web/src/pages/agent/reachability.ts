/** How an agent and its peers connected, from the agent's own report. */
import type { Agent, AgentStatus, AgentSummary } from "../../types";

export interface PeerReachability {
  /** The other agent. */
  name: string;
  /** Null if the agent was removed. */
  status: AgentStatus | null;
  /** The agent that dialed, and the agent that was dialed. */
  by: string;
  to: string;
  /** The dialed address; only the dialing agent knows it. */
  address: string | null;
  /** Whether the relay bucket was used, since neither could connect. */
  relayed: boolean;
}

/** Return the peers that the agent reports, by name. Both ends of a connection report it. */
export function peerReachability(
  { agent_id: own, reached }: Agent,
  peers: readonly Pick<AgentSummary, "agent_id" | "status">[],
): PeerReachability[] {
  return (reached ?? [])
    .map(({ agent_id: name, dialed, relayed = false, address }) => ({
      name,
      status: peers.find(({ agent_id }) => agent_id === name)?.status ?? null,
      by: dialed ? own : name,
      to: dialed ? name : own,
      address: dialed && !relayed ? (address ?? null) : null,
      relayed,
    }))
    .sort((one, other) => (one.name < other.name ? -1 : 1));
}
