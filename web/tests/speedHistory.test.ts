import { describe, expect, it } from "vitest";
import { bandsOf, speedsOf } from "../src/model/speedHistory";

const at = (second: number) => new Date(second * 1000).toISOString();

describe("the speed over the life of a transfer", () => {
  it("is the average between two points", () => {
    const history: [number, number][] = [
      [100, 0],
      [160, 600],
      [220, 600],
      [280, 1800],
    ];
    expect(speedsOf([{ history }])).toEqual({ times: [100, 160, 220, 280], speeds: [0, 10, 0, 20] });
  });

  it("is that of all hops together, whose points are at different times", () => {
    const hops = [
      {
        history: [
          [100, 0],
          [200, 1000],
        ] as [number, number][],
      },
      {
        history: [
          [150, 0],
          [250, 500],
        ] as [number, number][],
      },
    ];
    expect(speedsOf(hops)).toEqual({ times: [100, 150, 200, 250], speeds: [0, 10, 15, 5] });
  });

  it("has no time at all before anything was reported: never 1970", () => {
    expect(speedsOf([{ history: [] }]).times).toEqual([]);
  });
});

describe("the times in which nothing moved", () => {
  it("are pauses and waits for an attempt, not the first queue", () => {
    const hop_id = "a-0";
    const timeline = [
      { at: at(1), hop_id: null, state: null },
      { at: at(2), hop_id, state: "queued" as const },
      { at: at(3), hop_id, state: "running" as const },
      { at: at(10), hop_id, state: "paused" as const },
      { at: at(20), hop_id, state: "running" as const },
      { at: at(30), hop_id, state: "queued" as const },
    ];
    expect(bandsOf(timeline)).toEqual([
      { from: 10, to: 20, kind: "paused" },
      { from: 30, to: null, kind: "waiting" },
    ]);
  });
});
