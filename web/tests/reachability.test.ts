import { describe, expect, it } from "vitest";
import { peerReachability } from "../src/pages/agent/reachability";
import type { Agent } from "../src/types";
import { agent } from "./samples";

function agentWith(agent_id: string, reached: Agent["reached"]): Agent {
  return { ...agent(), agent_id, reached };
}

const B = agentWith("server-b", [
  { agent_id: "server-c", dialed: true, address: "10.0.0.3:4460", relayed: false },
]);

describe("peer reachability", () => {
  it("comes from the agent's own report, with the dialed address", () => {
    const [met] = peerReachability(B, [B, agentWith("server-c", [])]);
    expect(met).toEqual({
      name: "server-c",
      status: "online",
      by: "server-b",
      to: "server-c",
      address: "10.0.0.3:4460",
      relayed: false,
    });
  });

  it("is the relay if either agent reports it", () => {
    const own = agentWith("server-c", [
      { agent_id: "server-b", dialed: false, address: null, relayed: true },
    ]);
    const other = agentWith("server-b", []);
    expect(peerReachability(own, [own, other])).toMatchObject([
      { name: "server-b", relayed: true, address: null },
    ]);
    expect(peerReachability(other, [own, other])).toMatchObject([
      { name: "server-c", relayed: true, address: null },
    ]);
  });

  it("takes the address from the agent that dialed", () => {
    const own = agentWith("server-c", [
      { agent_id: "server-b", dialed: false, address: null, relayed: false },
    ]);
    expect(peerReachability(own, [B, own])).toMatchObject([
      { by: "server-b", to: "server-c", address: "10.0.0.3:4460" },
    ]);
  });

  it("comes from the peer's report if the agent has none", () => {
    const silent = agentWith("server-c", []);
    expect(peerReachability(silent, [B, silent])).toMatchObject([{ by: "server-b", to: "server-c" }]);
  });

  it("includes removed agents, but no agents without a report", () => {
    expect(peerReachability(B, [B, agentWith("server-d", [])])).toMatchObject([
      { name: "server-c", status: null },
    ]);
  });
});
