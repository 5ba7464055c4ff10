import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";
import { copyCommand } from "../src/model/command";
import { DEFAULT_OPTIONS } from "../src/model/options";

it("writes nothing about options that are the defaults", () => {
  const request = { source: "server-b:/data/", destinations: ["server-c:/a/"], options: DEFAULT_OPTIONS };
  expect(copyCommand({ ...request, shape: "fan_out" })).toBe("crosshaul cp server-b:/data/ server-c:/a/");
});

it("reaches the command as it was chosen, whatever the names are", () => {
  const command = copyCommand({
    source: "server-b:/it's $HOME/`x`/",
    destinations: ["server-c:/a b/", "s3://bucket/ü/"],
    shape: "chain",
    options: {
      ...DEFAULT_OPTIONS,
      include: ["*.mov", "-rf"],
      move: true,
      bandwidth_limit: 1048576,
      storage_class: "STANDARD_IA",
      object_tags: { project: "a film", "a=b": "" },
      bandwidth_windows: [
        { days: ["mon", "tue"], start: "08:00:00", end: "18:00:00", zone: "Europe/Berlin", limit: null },
      ],
    },
  });
  const script = `crosshaul() { printf "%s\\n" "$@"; }; ${command}`;
  expect(execFileSync("sh", ["-c", script]).toString().trimEnd().split("\n")).toEqual([
    "cp",
    "server-b:/it's $HOME/`x`/",
    "server-c:/a b/",
    "s3://bucket/ü/",
    "--chain",
    "--include=*.mov",
    "--include=-rf",
    "--move",
    "--bwlimit=1048576",
    "--bwlimit-at=mon,tue 08:00-18:00 off Europe/Berlin",
    "--storage-class=STANDARD_IA",
    "--tag=project=a film",
    "--tag=a\\=b=",
  ]);
});
