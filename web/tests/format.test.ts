import { describe, expect, it } from "vitest";
import { progressText } from "../src/components/ProgressLine";
import { actorName, locationText, safeText } from "../src/format/names";
import { bytes, duration, files, share, speed, timeLeft } from "../src/format/sizes";
import { stateDisplay } from "../src/format/states";
import { ago, clockSkew, isClockWrong, utc } from "../src/format/times";
import { progress } from "./samples";

describe("sizes", () => {
  it.each([
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.0 KiB"],
    [1536, "1.5 KiB"],
    [100 * 2 ** 20, "100 MiB"],
    [2 ** 40, "1.0 TiB"],
    [5000 * 2 ** 50, "5000 PiB"],
  ])("%i bytes are %s", (count, text) => {
    expect(bytes(count)).toBe(text);
  });

  it("formats speeds and counts", () => {
    expect(speed(2 ** 20)).toBe("1.0 MiB/s");
    expect(files(1)).toBe("1 file");
    expect(files(3002)).toBe("3,002 files");
  });

  it("never rounds up to 100 %", () => {
    expect(share(progress({ bytes_done: 999_999, bytes_total: 1_000_000 }))).toBe(99);
    expect(share(progress({ bytes_done: 10, bytes_total: 10 }))).toBe(100);
  });

  it("returns null while the total is unknown", () => {
    expect(share(progress({ bytes_total: null }))).toBeNull();
    expect(timeLeft(progress({ bytes_total: null }), 1)).toBeNull();
  });

  it("uses files if there are no bytes", () => {
    const empty = { bytes_done: 0, bytes_total: 0 };
    expect(share(progress({ ...empty, files_done: 1, files_total: 4 }))).toBe(25);
    expect(share(progress({ ...empty, files_done: 0, files_total: 0 }))).toBe(100);
  });

  it.each([
    [0.2, "0 s"],
    [59, "59 s"],
    [60, "1 min"],
    [3_900, "1 h 5 min"],
    [90_000, "1 d 1 h"],
  ])("%f seconds are %s", (seconds, text) => {
    expect(duration(seconds)).toBe(text);
  });

  it("formats a line of progress", () => {
    const now = progress({ bytes_done: 2 ** 20, bytes_total: 3 * 2 ** 20, bytes_per_second: 2 ** 20 });
    expect(progressText(now, true, false)).toBe("1.0 MiB of 3.0 MiB · 1.0 MiB/s · 2 s left");
    expect(progressText(now, false, false)).toBe("1.0 MiB of 3.0 MiB");
    expect(progressText(now, true, false, 2)).toBe("33 % of 3.0 MiB · 1.0 MiB/s · 4 s left");
    const lost = { ...now.lost, xattr: 3, time: 1 };
    expect(progressText({ ...now, lost }, false, true)).toContain(
      "not kept: extended attributes of 3, times of 1",
    );
    const all = { ...now.lost, xattr: 0 };
    expect(progressText({ ...now, lost: all }, false, true)).not.toContain("not kept");
  });
});

describe("times", () => {
  const at = "2026-11-24T01:30:00.250Z";
  const now = Date.parse(at);

  it("gives the exact instant in UTC", () => {
    expect(utc(at)).toBe("2026-11-24 01:30:00.250 UTC");
  });

  it("formats relative times", () => {
    expect(ago(at, now + 2_000)).toBe("just now");
    expect(ago(at, now + 125_000)).toBe("2 min ago");
    expect(ago(at, now - 3_600_000)).toBe("in 1 h");
  });
});

describe("a clock", () => {
  it.each([
    [-4.4, "in sync", false],
    [-59, "59 s behind", false],
    [3725, "1 h 2 min ahead", true],
    [-61, "1 min 1 s behind", true],
  ])("%d s off is %s", (skew, words, off) => {
    expect(clockSkew(skew)).toBe(words);
    expect(isClockWrong(skew)).toBe(off);
  });

  it("is not wrong if the agent has not reported it", () => {
    expect(isClockWrong(null)).toBe(false);
  });
});

describe("names", () => {
  it.each([
    ["Zoë – take 2.mov", "Zoë – take 2.mov"],
    ["日本語 🎬 عربي", "日本語 🎬 عربي"],
    ["evil\u202Egpj.exe", "evil\\u202Egpj.exe"],
    ["a\tb\nc\u0000", "a\\u0009b\\u000Ac\\u0000"],
    ["\u2066x\u2069\u200B\uFEFF", "\\u2066x\\u2069\\u200B\\uFEFF"],
    ["tag\u{E0041}", "tag\\u{E0041}"],
    ["half \uD83D", "half \\uD83D"],
  ])("shows %j as %j", (name, text) => {
    expect(safeText(name)).toBe(text);
  });

  it("writes locations as the API reads them", () => {
    expect(locationText({ kind: "agent", agent_id: "server-b", path: "/data/" })).toBe("server-b:/data/");
    expect(locationText({ kind: "s3", bucket: "media", prefix: "new/" })).toBe("s3://media/new/");
  });

  it("formats who did something", () => {
    expect(actorName({ id: "agent:server-b", name: "agent:server-b" })).toBe("server-b (agent)");
    expect(actorName({ id: "5f2b7a1e", name: "ana@example.org" })).toBe("ana@example.org");
    expect(actorName({ id: "5f2b7a1e", name: "agent:server-b" })).toBe("agent:server-b");
  });
});

it("shows an unknown state by its name", () => {
  expect(stateDisplay("partially_failed").label).toBe("Partially failed");
  expect(stateDisplay("hibernating")).toEqual({ label: "hibernating", type: "info" });
});
