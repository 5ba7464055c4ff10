import { describe, expect, it } from "vitest";
import { progressNow } from "../src/live/mergeProgress";
import { attentionItems, edgesOf } from "../src/pages/overview/overviewModel";
import type { Agent, Location, Progress, TransferSummary } from "../src/types";
import { agent, live, progress, transfer } from "./samples";

const PROBLEM = { code: "", message: "", advice: "", path: null, retryable: false };
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

function received(...words: [hop: string, said: Partial<Progress>][]) {
  return new Map(
    words.map(([hop_id, said]) => [
      hop_id,
      { ...live(), received_at: NOW, hop_id, progress: progress({ ...said }) },
    ]),
  );
}

describe("a running transfer", () => {
  it("is as far as its agents say, and as fast as its hops together", () => {
    const said = received(
      ["t-0", { bytes_done: 200, bytes_per_second: 5 }],
      ["t-1", { bytes_done: 50, bytes_per_second: 7 }],
    );
    const now = progressNow(running("t", "a", ["b", "c"]), said, NOW, NOW);
    expect(now).toMatchObject({ bytes_done: 250, bytes_per_second: 12 });
  });

  it("never goes back behind what is stored", () => {
    const now = progressNow(running("t", "a", ["b"]), received(["t-0", { bytes_done: 1 }]), NOW, NOW);
    expect(now.bytes_done).toBe(100);
  });

  it("is what is stored when nobody speaks", () => {
    const silent = received(["t-0", { bytes_done: 900 }]);
    expect(progressNow(running("t", "a", ["b"]), silent, NOW + 60_000, NOW).bytes_done).toBe(100);
  });

  it("is as fast as the API says, while it does", () => {
    const stored = { ...running("t", "a", ["b"]), progress: progress({ bytes_per_second: 3 }) };
    expect(progressNow(stored, received(), NOW + 60_000, NOW + 55_000).bytes_per_second).toBe(3);
    expect(progressNow(stored, received(), NOW + 60_000, NOW).bytes_per_second).toBe(0);
  });
});

describe("who sends to whom", () => {
  it("is a line a pair, with all its hops and their speed", () => {
    const said = received(["t-0", { bytes_per_second: 5 }], ["u-0", { bytes_per_second: 7 }]);
    const edges = edgesOf([running("t", "a", ["b"]), running("u", "a", ["b"])], [], said, NOW);
    expect(edges).toEqual([{ from: "a", to: "b", hops: 2, speed: 12 }]);
  });

  it("moves only where something was heard, once anything was", () => {
    const said = received(["t-0", { bytes_per_second: 5 }]);
    const edges = edgesOf([running("t", "a", ["b", "c"])], [], said, NOW);
    expect(edges.map(({ to, hops }) => [to, hops])).toEqual([
      ["b", 1],
      ["c", 0],
    ]);
  });

  it("moves along a chain only where a hop was heard", () => {
    const chain = running("t", "a", ["b", "c"], "chain");
    const edges = edgesOf([chain], [], received(["t-1", { bytes_per_second: 3 }]), NOW);
    expect(edges.map(({ from, to, hops }) => [from, to, hops])).toEqual([
      ["b", "c", 1],
      ["a", "b", 0],
    ]);
  });

  it("stands still where nobody confirms that bytes move", () => {
    const stalled = running("t", "a", ["b"]);
    const moving = { ...stalled, progress: { ...stalled.progress, bytes_per_second: 9 } };
    const hops = (one: TransferSummary) => edgesOf([one], [], new Map(), NOW)[0]?.hops;
    expect([hops(stalled), hops(moving)]).toEqual([0, 1]);
  });

  it("keeps what moved lately as a pale line", () => {
    const [edge] = edgesOf([], [running("t", "a", ["b"])], new Map(), NOW);
    expect(edge).toMatchObject({ hops: 0, speed: 0 });
  });
});

describe("what needs a person first", () => {
  const GiB = 2 ** 30;
  const root = (free: number | null): Agent["roots"][number] => ({
    path: "/data",
    access: "rw",
    free,
    size: 100 * GiB,
  });
  const named = (agent_id: string, changes: Partial<Agent>): Agent => ({
    ...agent(),
    agent_id,
    status: "online",
    roots: [root(50 * GiB)],
    ...changes,
  });

  it("has what an agent has paused by itself, and not what a person has", () => {
    const paused = { ...running("t", "a", ["b"]), state: "paused" as const, problem: null };
    const problem = { ...PROBLEM, code: "destination-full" };
    expect(attentionItems([], [paused, { ...paused, problem }], NOW).map(({ kind }) => kind)).toEqual([
      "pausedByAgent",
    ]);
  });

  it("is in order of urgency", () => {
    const cares = attentionItems(
      [
        named("late", { status: "late" }),
        named("nearlyFull", { roots: [root(GiB)] }),
        named("gone", { roots: [root(null)] }),
        named("offline", { status: "offline", roots: [root(null)] }),
        named("astray", { skew: -300 }),
        named("rejectsCommands", { command_key_status: "none" }),
        named("behind", { command_key_status: "present" }),
        named("well", { skew: 1.5 }),
      ],
      [{ ...running("t", "a", ["b"]), state: "failed", ended_at: new Date(NOW - 1000).toISOString() }],
      NOW,
    );
    expect(cares.map(({ kind }) => kind)).toEqual([
      "offline",
      "missing",
      "clock",
      "rejectsCommands",
      "nearlyFull",
      "failed",
      "late",
    ]);
  });

  it("forgets a failure after a day", () => {
    const failed = { ...running("t", "a", ["b"]), state: "failed" as const };
    const ended_at = new Date(NOW - 2 * 86_400_000).toISOString();
    expect(attentionItems([], [{ ...failed, ended_at }], NOW)).toEqual([]);
  });
});
