import { describe, expect, it } from "vitest";
import { peerReachability } from "../src/pages/agent/reachability";
import type { Agent } from "../src/types";
import { agent } from "./samples";

function told(agent_id: string, reached: Agent["reached"]): Agent {
  return { ...agent(), agent_id, reached };
}

const B = told("server-b", [
  { agent_id: "server-c", dialled: true, address: "10.0.0.3:4460", relayed: false },
]);

describe("who reached whom", () => {
  it("is what the agent says itself, with what it dialled", () => {
    const [met] = peerReachability(B, [B, told("server-c", [])]);
    expect(met).toEqual({
      name: "server-c",
      status: "online",
      by: "server-b",
      to: "server-c",
      address: "10.0.0.3:4460",
      relayed: false,
    });
  });

  it("is the relay where neither could dial, whichever of the two says so", () => {
    const own = told("server-c", [{ agent_id: "server-b", dialled: false, address: null, relayed: true }]);
    const other = told("server-b", []);
    expect(peerReachability(own, [own, other])).toMatchObject([
      { name: "server-b", relayed: true, address: null },
    ]);
    expect(peerReachability(other, [own, other])).toMatchObject([
      { name: "server-c", relayed: true, address: null },
    ]);
  });

  it("has the address from the other end where that one dialled", () => {
    const own = told("server-c", [{ agent_id: "server-b", dialled: false, address: null, relayed: false }]);
    expect(peerReachability(own, [B, own])).toMatchObject([
      { by: "server-b", to: "server-c", address: "10.0.0.3:4460" },
    ]);
  });

  it("is what the other says where the agent has nothing to say", () => {
    const silent = told("server-c", []);
    expect(peerReachability(silent, [B, silent])).toMatchObject([{ by: "server-b", to: "server-c" }]);
  });

  it("keeps agents that are no more, and invents none", () => {
    expect(peerReachability(B, [B, told("server-d", [])])).toMatchObject([
      { name: "server-c", status: null },
    ]);
  });
});
