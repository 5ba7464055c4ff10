import { describe, expect, it } from "vitest";
import type { LiveProgressByHop } from "../src/live/mergeProgress";
import {
  liveKey,
  liveProgressOf,
  mergeProgress,
  progressNow,
  progressOf,
  STALE_AFTER_MS,
  secondsSinceReport,
  transferProgress,
} from "../src/live/mergeProgress";
import { type AgentLive, parseLive } from "../src/live/parseLive";
import { hop, live, progress, transfer } from "./samples";

const NOW = Date.parse(live().at);
const ASKED = NOW;

function received(...lives: AgentLive[]): LiveProgressByHop {
  return mergeProgress(new Map(), lives, NOW);
}

describe("the progress of a hop", () => {
  const stored = hop({ progress: progress({ bytes_done: 100, bytes_per_second: 1 }) });

  it("is the latest live progress", () => {
    const said = { ...live(), progress: progress({ bytes_done: 200 }) };
    expect(progressOf(stored, received(said), NOW, ASKED)).toEqual(said.progress);
  });

  it("is the stored progress without live progress", () => {
    expect(progressOf(stored, received(), NOW, ASKED)).toBe(stored.progress);
  });

  it("never decreases", () => {
    const said = { ...live(), progress: progress({ bytes_done: 50 }) };
    expect(progressOf(stored, received(said), NOW, ASKED).bytes_done).toBe(100);
  });

  it("never falls back when a new attempt compares again, and says that it does", () => {
    const said = { ...live(), attempt: 2, progress: progress({ bytes_done: 40, bytes_total: 1000 }) };
    const again = hop({
      attempt: 2,
      most_bytes: 300,
      progress: progress({ bytes_done: 10, bytes_total: 1000 }),
    });
    expect(progressOf(again, received(said), NOW, ASKED)).toMatchObject({ bytes_done: 300, compared: 40 });
    const further = { ...said, progress: progress({ bytes_done: 301, bytes_total: 1000 }) };
    expect(progressOf(again, received(further), NOW, ASKED)).toEqual(further.progress);
  });

  it("does not claim more than a source that has shrunk has", () => {
    const shrunk = hop({ most_bytes: 300, progress: progress({ bytes_done: 10, bytes_total: 200 }) });
    expect(progressOf(shrunk, received(), NOW, ASKED).bytes_done).toBe(200);
    expect(progressOf({ ...shrunk, state: "succeeded" }, received(), NOW, ASKED).bytes_done).toBe(10);
  });

  it("ignores other attempts", () => {
    const said = { ...live(), attempt: 2, progress: progress({ bytes_done: 200 }) };
    expect(progressOf(stored, received(said), NOW, ASKED)).toBe(stored.progress);
  });

  it.each(["succeeded", "failed", "cancelled"] as const)("is the stored progress once it is %s", (state) => {
    const said = { ...live(), progress: progress({ bytes_done: 200 }) };
    const ended = hop({ state, progress: stored.progress });
    expect(progressOf(ended, received(said), NOW, ASKED)).toBe(ended.progress);
  });

  it("does not decrease right after a pause", () => {
    const said = { ...live(), progress: progress({ bytes_done: 200, bytes_per_second: 999 }) };
    const paused = hop({ state: "paused", progress: progress({ bytes_done: 100, bytes_per_second: 0 }) });
    const now = progressOf(paused, received(said), NOW + 1_000, ASKED);
    expect(now).toMatchObject({ bytes_done: 200, bytes_per_second: 0 });
    expect(progressOf(paused, received(said), NOW + 6_000, ASKED).bytes_done).toBe(100);
  });

  it("names the file of a single-file source", () => {
    const source = { kind: "agent", agent_id: "server-b", path: "/data/film.mov" } as const;
    const single = hop({ source, progress: progress({ current: "" }) });
    expect(progressOf(single, received(), NOW, ASKED).current).toBe("film.mov");
    expect(progressOf(stored, received(), NOW, ASKED).current).toBe(stored.progress.current);
  });

  describe("without recent reports", () => {
    const said = { ...live(), progress: progress({ bytes_done: 200, bytes_per_second: 999 }) };
    const later = NOW + STALE_AFTER_MS + 1;

    it("keeps its amount, but has no speed", () => {
      const now = progressOf(stored, received(said), later, NOW);
      expect(now).toMatchObject({ bytes_done: 200, bytes_per_second: 0 });
      expect(progressOf(stored, received(), later, NOW)).toMatchObject({
        bytes_done: 100,
        bytes_per_second: 0,
      });
    });

    it("has the speed that the API has confirmed lately", () => {
      expect(progressOf(stored, received(said), later, later)).toMatchObject({ bytes_per_second: 1 });
    });

    it("counts seconds since the last report of broker or API", () => {
      const silent = (quiet: number | null) =>
        hop({ progress: stored.progress, seconds_since_report: quiet });
      expect(secondsSinceReport(silent(20), received(), NOW, NOW)).toBe(20);
      expect(secondsSinceReport(silent(20), received(), NOW + 4_000, NOW)).toBe(24);
      expect(secondsSinceReport(silent(20), received(said), NOW, NOW)).toBeNull();
      expect(secondsSinceReport(silent(2), received(), NOW, NOW)).toBeNull();
      expect(secondsSinceReport(silent(null), received(), later, NOW), "it is not at work").toBeNull();
    });
  });
});

describe("live messages", () => {
  const first = live();
  const second = {
    ...first,
    at: "2026-11-24T01:30:03.250Z",
    progress: progress({ bytes_done: 800_000_000 }),
  };

  const key = liveKey(first.agent_id, first.hop_id);

  it("keep the latest, in any order of arrival", () => {
    expect(received(first, second).get(key)).toMatchObject(second);
    expect(received(second, first).get(key)).toMatchObject(second);
  });

  it("are ordered by attempt before time, since clocks differ", () => {
    const retried = { ...first, attempt: 2, at: "2026-11-24T01:29:00.000Z" };
    expect(received(second, retried).get(key)).toMatchObject(retried);
    expect(received(retried, second).get(key)).toMatchObject(retried);
  });

  it("are timed by their arrival, not by the agent's clock", () => {
    const stored = hop({ progress: progress({ bytes_done: 100, bytes_per_second: 1 }) });
    const said = { ...first, at: "2026-11-24T00:00:00.000Z", progress: progress({ bytes_per_second: 999 }) };
    expect(progressOf(stored, received(said), NOW, ASKED).bytes_per_second).toBe(999);
  });

  it("of another agent than the hop's carrier change nothing", () => {
    const stored = hop({ progress: progress({ bytes_done: 100 }) });
    const faked = { ...second, agent_id: "server-e", progress: progress({ bytes_done: 999_999 }) };
    expect(progressOf(stored, received(first, faked), NOW, ASKED)).toEqual(first.progress);
    expect(progressOf(stored, received(faked, first), NOW, ASKED)).toEqual(first.progress);
    const summary = { ...transfer(), transfer_id: first.transfer_id };
    expect(liveProgressOf(summary, received(faked), NOW)).not.toContain(faked.progress);
  });

  it("of one agent are kept for a thousand hops, and leave those of others alone", () => {
    const flood = Array.from({ length: 1_200 }, (_, number) => ({
      ...first,
      agent_id: "server-e",
      hop_id: `${first.transfer_id}-${number}`,
    }));
    const kept = received(...flood, first);
    expect(kept.size).toBe(1_001);
    expect(kept.get(key)).toMatchObject(first);
  });

  describe("as they are sent", () => {
    const { agent_id, ...message } = first;
    const topic = `crosshaul/prod/agents/crosshaul:prod:${agent_id}/live/${first.transfer_id}/${first.hop_id}`;
    const parse = (sent: unknown, to = topic) =>
      parseLive(new TextEncoder().encode(typeof sent === "string" ? sent : JSON.stringify(sent)), to);

    it("are read with the agent that sent them", () => {
      expect(parse(message)).toEqual(first);
      expect(parse({ ...message, agent_id: "server-e" })?.agent_id).toBe(agent_id);
    });

    it.each(["{", "null", "7", "[]", '"x"', "{}", '{"hop_id": "x"}'])(
      "are dropped if they are %s",
      (sent) => {
        expect(parse(sent)).toBeNull();
      },
    );

    it.each([
      ["another hop's", topic.replace(/-\d+$/, "-7")],
      ["another transfer's", topic.replace(first.transfer_id, "00000000000000000000")],
      ["no hop's", "crosshaul/prod/changes/x"],
    ])("are dropped if the topic is %s", (_, other) => {
      expect(parse(message, other)).toBeNull();
    });

    it.each(Object.keys(message))("are dropped without a valid %s", (field) => {
      for (const value of [undefined, null, {}, [], "nonsense", -1, 1e300, true]) {
        expect(parse({ ...message, [field]: value }), JSON.stringify(value)).toBeNull();
      }
    });

    it.each(Object.keys(message.progress))("are dropped without a valid %s in their progress", (field) => {
      for (const value of [undefined, {}, [], -1, 1e300, true, "x".repeat(10_000)]) {
        const sent = { ...message, progress: { ...message.progress, [field]: value } };
        expect(parse(sent), JSON.stringify(value)).toBeNull();
      }
    });
  });
});

describe("several hops together", () => {
  const MIB = 2 ** 20;
  const whole = { bytes_done: 192 * MIB, bytes_total: 192 * MIB, files_done: 2, files_total: 2 };
  const nothing = { bytes_done: 0, bytes_total: null, files_done: 0, files_total: null };

  it("count each file once: a chain of 192 MiB is never 384 MiB", () => {
    expect(transferProgress([progress(whole), progress(whole)])).toMatchObject(whole);
  });

  it("are half done when the first of two has arrived, although the second knows no total yet", () => {
    const half = { bytes_done: 96 * MIB, bytes_total: 192 * MIB, files_done: 1, files_total: 2 };
    expect(transferProgress([progress(whole), progress(nothing)])).toMatchObject(half);
  });

  it("are complete when each has what it listed, although the source grew in between", () => {
    const later = { ...whole, bytes_done: 200 * MIB, bytes_total: 200 * MIB };
    expect(transferProgress([progress(whole), progress(later)])).toMatchObject(later);
  });

  it("have no total while no hop knows its own, and say how far the first is", () => {
    const listing = { ...nothing, bytes_done: 7 };
    expect(transferProgress([progress(listing), progress(nothing)])).toMatchObject(listing);
  });

  it("are the same as one hop where there is only one", () => {
    const only = progress({ bytes_done: 1, bytes_total: 3, files_unchanged: 1 });
    expect(transferProgress([only])).toEqual(only);
  });

  it("count once in a list, too, where only messages of the hops are known", () => {
    const chain = {
      ...transfer(),
      progress: progress({ ...whole, bytes_done: 96 * MIB, files_done: 1 }),
    };
    const [to] = chain.destinations;
    const both = { ...chain, destinations: to ? [to, to] : [], shape: "fan_out" as const };
    const lives = both.destinations.map((_, number) => ({
      ...live(),
      hop_id: `${both.transfer_id}-${number}`,
      progress: progress(whole),
    }));
    const now = progressNow(both, received(...lives), NOW, ASKED);
    expect(now).toMatchObject({ bytes_done: 192 * MIB, bytes_total: 192 * MIB, files_done: 2 });
  });
});
