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
const C = { agent_id: "server-c", status: "online" as const };

describe("peer reachability", () => {
  it("comes from the agent's own report, with the dialed address", () => {
    expect(peerReachability(B, [C])).toEqual([
      {
        name: "server-c",
        status: "online",
        by: "server-b",
        to: "server-c",
        address: "10.0.0.3:4460",
        relayed: false,
      },
    ]);
  });

  it("has no address of a peer that dialed, nor of the relay", () => {
    const own = agentWith("server-c", [
      { agent_id: "server-d", dialed: true, address: "10.0.0.4:4460", relayed: true },
      { agent_id: "server-b", dialed: false, address: null, relayed: false },
    ]);
    expect(peerReachability(own, [])).toMatchObject([
      { name: "server-b", by: "server-b", to: "server-c", address: null, relayed: false },
      { name: "server-d", address: null, relayed: true },
    ]);
  });

  it("includes removed agents", () => {
    expect(peerReachability(B, [])).toMatchObject([{ name: "server-c", status: null }]);
  });
});
