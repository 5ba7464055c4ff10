import { describe, expect, it } from "vitest";
import { namesBegin } from "../src/hooks/queries";
import { mergeProgress, progressNow } from "../src/live/mergeProgress";
import { attentionItems, edgesOf } from "../src/pages/overview/overviewModel";
import type { AgentSummary, AgentWarning, Location, Progress, TransferSummary } from "../src/types";
import { agentSummary, live, progress, transfer } from "./samples";

const NOW = Date.parse(live().at);

function at(agent_id: string): Location {
  return { kind: "agent", agent_id, path: "/data/" };
}

function running(id: string, from: string, to: string[], shape: TransferSummary["shape"] = "fan_out") {
  const stored = progress({ bytes_done: 100, bytes_per_second: 0 });
  return {
    ...transfer(),
    transfer_id: id,
    shape,
    source: at(from),
    destinations: to.map(at),
    progress: stored,
  };
}

/** Return live progress from the agents at the hops' destinations, `b` and `c`. */
function received(...messages: [hop: string, changes: Partial<Progress>][]) {
  const lives = messages.map(([hop_id, changes]) => {
    const agent_id = hop_id.endsWith("-0") ? "b" : "c";
    return { ...live(), agent_id, hop_id, progress: progress({ ...changes }) };
  });
  return mergeProgress(new Map(), lives, NOW);
}

describe("a running transfer", () => {
  it("has the live amount, counted once, and the sum of the hops' speeds", () => {
    const said = received(
      ["t-0", { bytes_done: 200, bytes_per_second: 5 }],
      ["t-1", { bytes_done: 50, bytes_per_second: 7 }],
    );
    const now = progressNow(running("t", "a", ["b", "c"]), said, NOW, NOW);
    expect(now).toMatchObject({ bytes_done: 125, bytes_per_second: 12 });
  });

  it("never falls below the stored progress", () => {
    const now = progressNow(running("t", "a", ["b"]), received(["t-0", { bytes_done: 1 }]), NOW, NOW);
    expect(now.bytes_done).toBe(100);
  });

  it("is the stored progress without recent messages", () => {
    const silent = received(["t-0", { bytes_done: 900 }]);
    expect(progressNow(running("t", "a", ["b"]), silent, NOW + 60_000, NOW).bytes_done).toBe(100);
  });

  it("has the API's speed while it is confirmed", () => {
    const stored = { ...running("t", "a", ["b"]), progress: progress({ bytes_per_second: 3 }) };
    expect(progressNow(stored, received(), NOW + 60_000, NOW + 55_000).bytes_per_second).toBe(3);
    expect(progressNow(stored, received(), NOW + 60_000, NOW).bytes_per_second).toBe(0);
  });
});

describe("the map's edges", () => {
  it("are one per pair, with the sum of hops and speeds", () => {
    const said = received(["t-0", { bytes_per_second: 5 }], ["u-0", { bytes_per_second: 7 }]);
    const edges = edgesOf([running("t", "a", ["b"]), running("u", "a", ["b"])], [], said, NOW);
    expect(edges).toEqual([{ from: "a", to: "b", hops: 2, speed: 12 }]);
  });

  it("are active only with live progress, once there is any", () => {
    const said = received(["t-0", { bytes_per_second: 5 }]);
    const edges = edgesOf([running("t", "a", ["b", "c"])], [], said, NOW);
    expect(edges.map(({ to, hops }) => [to, hops])).toEqual([
      ["b", 1],
      ["c", 0],
    ]);
  });

  it("are active in a chain only for hops with live progress", () => {
    const chain = running("t", "a", ["b", "c"], "chain");
    const edges = edgesOf([chain], [], received(["t-1", { bytes_per_second: 3 }]), NOW);
    expect(edges.map(({ from, to, hops }) => [from, to, hops])).toEqual([
      ["b", "c", 1],
      ["a", "b", 0],
    ]);
  });

  it("are not active without a confirmed speed", () => {
    const stalled = running("t", "a", ["b"]);
    const moving = { ...stalled, progress: { ...stalled.progress, bytes_per_second: 9 } };
    const hops = (one: TransferSummary) => edgesOf([one], [], new Map(), NOW)[0]?.hops;
    expect([hops(stalled), hops(moving)]).toEqual([0, 1]);
  });

  it("include recent transfers", () => {
    const [edge] = edgesOf([], [running("t", "a", ["b"])], new Map(), NOW);
    expect(edge).toMatchObject({ hops: 0, speed: 0 });
  });
});

describe("attention items", () => {
  const named = (agent_id: string, changes: Partial<AgentSummary>): AgentSummary => ({
    ...agentSummary(),
    agent_id,
    status: "online",
    warnings: [],
    ...changes,
  });
  const warned = (agent_id: string, kind: AgentWarning["kind"]) =>
    named(agent_id, { warnings: [{ kind, path: null, amount: null }] });

  it("name the newest transfers of a reason, and count all where there are more", () => {
    const newest = [running("t", "a", ["b"]), running("u", "a", ["b"])];
    const groups = (count: number) => ({ groups: [{ reason: "failed" as const, count, newest }] });
    expect(attentionItems([], 0, groups(2))).toHaveLength(2);
    expect(attentionItems([], 0, groups(18)).at(-1)).toEqual({ kind: "failed", count: 18 });
  });

  it("count all agents where more need attention than are named", () => {
    const agents = [named("offline", { status: "offline" })];
    expect(attentionItems(agents, 1, { groups: [] })).toHaveLength(1);
    expect(attentionItems(agents, 9_000, { groups: [] })).toMatchObject([
      { kind: "offline" },
      { kind: "agents", count: 9_000 },
    ]);
  });

  it("are in order of urgency", () => {
    const cares = attentionItems(
      [
        named("late", { status: "late" }),
        warned("nearlyFull", "root_nearly_full"),
        warned("gone", "root_missing"),
        named("offline", { status: "offline" }),
        warned("astray", "clock"),
        warned("rejectsCommands", "rejects_commands"),
      ],
      6,
      { groups: [{ reason: "failed", count: 1, newest: [running("t", "a", ["b"])] }] },
    );
    expect(cares.map(({ kind }) => kind)).toEqual([
      "offline",
      "root_missing",
      "clock",
      "rejects_commands",
      "root_nearly_full",
      "failed",
      "late",
    ]);
  });
});

describe("the beginning of names", () => {
  it("is what a person types, whatever its case; nothing begins with what no name has", () => {
    expect(namesBegin(" Web-0 ")).toBe("web-0");
    expect(namesBegin("10.0.0.1")).toBe("-");
  });
});
