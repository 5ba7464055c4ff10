import { describe, expect, it } from "vitest";
import { mergeProgress } from "../src/live/mergeProgress";
import type { AgentLive } from "../src/live/parseLive";
import { hopReason, type Known, transferReason } from "../src/live/stateReason";
import type { Agent, Hop } from "../src/types";
import { agent, hop, live, transfer } from "./samples";

const NOW = Date.parse("2026-11-30T12:00:00Z");
const ago = (seconds: number) => new Date(NOW - seconds * 1000).toISOString();

function known(agents: Agent[] = [], lives: AgentLive[] = [], fetchedAt = NOW): Known {
  return { agents, received: mergeProgress(new Map(), lives, NOW), now: NOW, fetchedAt };
}

const carrier = hop().agents.at(-1) ?? "";
const source = hop().agents[0] ?? "";
const away = (agent_id: string, seconds: number): Agent => ({
  ...agent(),
  agent_id,
  status: "late",
  last_heartbeat: ago(seconds),
});

describe("the state of a hop that is at work", () => {
  it("says all while its agents report", () => {
    expect(hopReason(hop({ seconds_since_report: 5 }), known())).toBeNull();
  });

  it("says that the receiver is dead long before its heartbeat is overdue", () => {
    expect(hopReason(hop({ seconds_since_report: 40 }), known())).toEqual({
      text: `${carrier} has not been heard for 40 s`,
      warns: true,
    });
  });

  it("does not call an agent silent whose live progress arrives", () => {
    expect(hopReason(hop({ seconds_since_report: 40 }), known([], [live()]))).toBeNull();
  });

  it("says that the source is away, since the receiver cannot know it", () => {
    const reason = hopReason(hop({ seconds_since_report: 2 }), known([away(source, 120)]));
    expect(reason?.text).toBe(`${source} has not been heard for 2 min`);
  });
});

describe("the state of a queued hop", () => {
  const queued = (changes: Partial<Hop>) => hop({ state: "queued", seconds_since_report: null, ...changes });

  it("names the agent for which it waits", () => {
    const reason = hopReason(queued({}), known([away(carrier, 180)]));
    expect(reason).toEqual({
      text: `${carrier} has not been heard for 3 min; starts automatically when it is back`,
      warns: true,
    });
  });

  it("names the agent that is drained, by whom and until when", () => {
    const by = { id: "3f2a9c54-1b7e-4d80-9a6f-5c21e8d4b703", name: "ana@example.org" };
    const drain = { by, at: ago(60), until: null, maintenance: false, why: "new disks" };
    const drained = { ...agent(), agent_id: source, status: "online" as const, drain };
    const text = `${source} is drained by ana@example.org: new disks`;
    expect(hopReason(queued({}), known([drained]))).toEqual({ text, warns: true });
    expect(hopReason(hop({ seconds_since_report: 2 }), known([drained]))).toBeNull();
    const until = { ...drained, drain: { ...drain, until: ago(-60), maintenance: true } };
    expect(hopReason(queued({}), known([until]))?.text).toContain(
      "is in maintenance, set by ana@example.org until ",
    );
  });

  it("says why the last attempt failed and when the next one is", () => {
    const words = { message: "No report.", advice: "", wording: "", parameters: {} };
    const problem = { code: "agent-silent", retryable: true, path: null, ...words };
    const reason = hopReason(queued({ problem, retry_at: ago(-20) }), known());
    expect(reason?.text).toMatch(/^.+ · next attempt in 20 s$/);
  });

  it.each([0, 1, 45, 3600])("never calls a time %i s ago the next one", (seconds) => {
    const reason = hopReason(queued({ problem: null, retry_at: ago(seconds) }), known());
    expect(reason?.text).toBe("the next attempt starts any moment");
  });

  it("waits for its turn when nothing is wrong", () => {
    expect(hopReason(queued({ retry_at: null }), known())?.warns).toBe(false);
  });
});

describe("the state of a transfer", () => {
  it("does not look healthy while one of its hops does not move", () => {
    const hops = [hop({ seconds_since_report: 1 }), hop({ hop_id: "x-1", seconds_since_report: 40 })];
    expect(transferReason({ ...transfer(), state: "running", ended_at: null, hops }, known())?.warns).toBe(
      true,
    );
  });
});
