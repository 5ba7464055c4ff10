import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Api } from "../src/api/client";
import { keepWatched } from "../src/live/keepWatched";

let requested: string[][];
let failing: boolean;
let stop: () => void;

const api = {
  post: (_: string, body: { transfers: string[] }) => {
    requested.push(body.transfers);
    return failing ? Promise.reject(new Error("away")) : Promise.resolve();
  },
} as unknown as Api;

function hide(hidden: boolean): void {
  vi.spyOn(document, "hidden", "get").mockReturnValue(hidden);
  document.dispatchEvent(new Event("visibilitychange"));
}

beforeEach(() => {
  vi.useFakeTimers();
  requested = [];
  failing = false;
});

afterEach(() => {
  stop();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("live progress is requested while a page shows it", () => {
  it("at once, every 30 s, and no longer than the page is open", () => {
    stop = keepWatched(api, ["a"]);
    expect(requested).toEqual([["a"]]);
    vi.advanceTimersByTime(60_000);
    expect(requested).toHaveLength(3);
    stop();
    vi.advanceTimersByTime(600_000);
    expect(requested).toHaveLength(3);
  });

  it("not of a page that is hidden, and at once when it is shown again", () => {
    stop = keepWatched(api, ["a"]);
    hide(true);
    vi.advanceTimersByTime(600_000);
    expect(requested).toHaveLength(1);
    hide(false);
    expect(requested).toHaveLength(2);
  });

  it("of at most 20 transfers", () => {
    stop = keepWatched(
      api,
      Array.from({ length: 100 }, (_, number) => `t${number}`),
    );
    expect(requested[0]).toHaveLength(20);
  });

  it("again after a request that failed", async () => {
    failing = true;
    stop = keepWatched(api, ["a"]);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(requested).toHaveLength(2);
  });
});
