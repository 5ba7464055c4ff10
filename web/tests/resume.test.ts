import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { onResume } from "../src/live/useResume";

let hidden = false;
let woke: number[] = [];
let stop = () => {};

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(document, "hidden", "get").mockImplementation(() => hidden);
  woke = [];
  stop = onResume((away) => woke.push(Math.round(away)));
});

afterEach(() => {
  stop();
  hidden = false;
  vi.restoreAllMocks();
  vi.useRealTimers();
});

function sleep(seconds: number): void {
  vi.setSystemTime(Date.now() + seconds * 1000);
}

it("does not fire while the page is visible", () => {
  vi.advanceTimersByTime(600_000);
  expect(woke).toEqual([]);
});

it("reports a sleep once, with its duration", () => {
  sleep(600);
  vi.advanceTimersByTime(60_000);
  expect(woke).toEqual([605]);
});

it("reports hidden time when the page is visible again, and not before", () => {
  hidden = true;
  vi.advanceTimersByTime(300_000);
  expect(woke).toEqual([]);
  hidden = false;
  document.dispatchEvent(new Event("visibilitychange"));
  expect(woke).toEqual([300]);
});

it("ignores a short switch to another tab", () => {
  hidden = true;
  vi.advanceTimersByTime(10_000);
  hidden = false;
  document.dispatchEvent(new Event("visibilitychange"));
  expect(woke).toEqual([]);
});

it("reports how long the network was lost", () => {
  window.dispatchEvent(new Event("offline"));
  vi.advanceTimersByTime(12_000);
  window.dispatchEvent(new Event("online"));
  expect(woke).toEqual([12]);
});
