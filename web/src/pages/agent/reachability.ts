/** Who reached whom, out of what both ends say of it. */
import type { Agent, AgentStatus } from "../../types";

export interface PeerReachability {
  /** The other agent. */
  name: string;
  /** Null where there is no such agent any more. */
  status: AgentStatus | null;
  /** Who dialled, and whom. */
  by: string;
  to: string;
  /** What was dialled: only who did knows it. */
  address: string | null;
  /** Neither got through: by the relay bucket. */
  relayed: boolean;
}

/** By name. What the agent says itself counts; of others that it does not speak of, what they say of it. */
export function peerReachability(agent: Agent, all: readonly Agent[]): PeerReachability[] {
  const own = agent.agent_id;
  const said = new Map((agent.reached ?? []).map((one) => [one.agent_id, contactOf(one, one.dialled)]));
  for (const other of all) {
    const there = reportAbout(other, own);
    if (other.agent_id !== own && there && !said.has(other.agent_id))
      said.set(other.agent_id, contactOf(there, !there.dialled));
  }
  return [...said].sort(byName).map(([name, { dialled, relayed }]) => {
    const other = all.find(({ agent_id }) => agent_id === name);
    const caller = dialled ? reportAbout(agent, name) : other && reportAbout(other, own);
    return {
      name,
      status: other?.status ?? null,
      by: dialled ? own : name,
      to: dialled ? name : own,
      address: caller?.dialled && !relayed ? (caller.address ?? null) : null,
      relayed,
    };
  });
}

type Reached = NonNullable<Agent["reached"]>[number];

interface Contact {
  /** Did the agent itself dial? */
  dialled: boolean;
  relayed: boolean;
}

function contactOf({ relayed = false }: Reached, dialled: boolean): Contact {
  return { dialled, relayed };
}

function reportAbout({ reached }: Agent, name: string) {
  return (reached ?? []).find(({ agent_id }) => agent_id === name);
}

function byName([one]: [string, Contact], [other]: [string, Contact]): number {
  return one < other ? -1 : 1;
}
