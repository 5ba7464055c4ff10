/** How two agents connected, from the reports of both. */
import type { Agent, AgentStatus } from "../../types";

export interface PeerReachability {
  /** The other agent. */
  name: string;
  /** Null if the agent was removed. */
  status: AgentStatus | null;
  /** The agent that dialed, and the agent that was dialed. */
  by: string;
  to: string;
  /** The dialed address, known only from the report of the dialing agent. */
  address: string | null;
  /** Whether the relay bucket was used, since neither could connect. */
  relayed: boolean;
}

/** Return the peers by name: from the agent's own report, otherwise from the report of the peer. */
export function peerReachability(agent: Agent, all: readonly Agent[]): PeerReachability[] {
  const own = agent.agent_id;
  const contacts = new Map((agent.reached ?? []).map((one) => [one.agent_id, contactOf(one, one.dialed)]));
  for (const other of all) {
    const report = reportAbout(other, own);
    if (other.agent_id !== own && report && !contacts.has(other.agent_id))
      contacts.set(other.agent_id, contactOf(report, !report.dialed));
  }
  return [...contacts].sort(byName).map(([name, { dialed, relayed }]) => {
    const other = all.find(({ agent_id }) => agent_id === name);
    const caller = dialed ? reportAbout(agent, name) : other && reportAbout(other, own);
    return {
      name,
      status: other?.status ?? null,
      by: dialed ? own : name,
      to: dialed ? name : own,
      address: caller?.dialed && !relayed ? (caller.address ?? null) : null,
      relayed,
    };
  });
}

type Reached = NonNullable<Agent["reached"]>[number];

interface Contact {
  /** Whether the agent itself dialed. */
  dialed: boolean;
  relayed: boolean;
}

function contactOf({ relayed = false }: Reached, dialed: boolean): Contact {
  return { dialed, relayed };
}

function reportAbout({ reached }: Agent, name: string) {
  return (reached ?? []).find(({ agent_id }) => agent_id === name);
}

function byName([one]: [string, Contact], [other]: [string, Contact]): number {
  return one < other ? -1 : 1;
}
