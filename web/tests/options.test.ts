import { describe, expect, it } from "vitest";
import { previewRows } from "../src/components/PreviewResult";
import { describeOptions, describeWindow, tagLines } from "../src/format/options";
import {
  amountOf,
  amountText,
  changedOptions,
  DEFAULT_OPTIONS,
  endsOf,
  invalidFields,
  patterns,
  removesFiles,
  SPEED,
  STREAMS,
  tagsOf,
  templateEnds,
  unavailableReason,
} from "../src/model/options";
import { parseYaml } from "../src/pages/templates/yaml";

const B = { place: "server-b", path: "/data/" };
const C = { place: "server-c", path: "/archive/" };
const S3 = { place: "s3://", path: "media/" };

describe("available options", () => {
  it("are all options between two agents", () => {
    const options = { ...DEFAULT_OPTIONS, compare: "checksum" as const, delete_extra: true };
    expect(invalidFields(options, endsOf(B, [C]))).toEqual([]);
  });

  it("are fewer with S3, several destinations, or a template", () => {
    expect(unavailableReason("compare", endsOf(S3, [C]), DEFAULT_OPTIONS)).toMatch(/agent at both ends/);
    expect(unavailableReason("owner", endsOf(B, [S3]), DEFAULT_OPTIONS)).toMatch(/between agents/);
    expect(invalidFields({ ...DEFAULT_OPTIONS, owner: "names" }, endsOf(S3, [C]))).toHaveLength(1);
    expect(unavailableReason("move", endsOf(B, [C, C]), DEFAULT_OPTIONS)).toMatch(/one destination/);
    expect(unavailableReason("delete_extra", templateEnds([C]), DEFAULT_OPTIONS)).toMatch(/single objects/);
  });

  it("include storage class and tags wherever a destination is a bucket, also of a template", () => {
    const options = {
      ...DEFAULT_OPTIONS,
      storage_class: "STANDARD_IA" as const,
      object_tags: { a: "b", "c=d": "e" },
    };
    expect(invalidFields(options, endsOf(B, [C, S3]))).toEqual([]);
    expect(invalidFields(options, templateEnds([S3]))).toEqual([]);
    expect(invalidFields(options, endsOf(B, [C]))).toEqual([
      expect.stringMatching(/choose an S3 destination/),
    ]);
    expect(invalidFields(options, templateEnds([C]))).toHaveLength(1);
    expect(changedOptions(options)).toEqual(["storage class STANDARD_IA", "object tags a=b, c\\=d=e"]);
  });

  it("exclude moving and mirroring at once", () => {
    const both = { ...DEFAULT_OPTIONS, move: true, delete_extra: true };
    expect(invalidFields(both, endsOf(B, [C]))).toHaveLength(1);
  });
});

it("reads tags as they are written, one a line", () => {
  const tags = { project: "film a=b", "a=b": "c", empty: "" };
  expect(tagsOf(tagLines(tags))).toEqual(tags);
  expect(tagsOf(["key", " k = v "])).toEqual({ key: "", k: "v" });
});

describe("an amount", () => {
  it.each([
    ["1.05", 1_101_005],
    ["10.25", 10_747_904],
    [" 12 ", 12_582_912],
    ["1.", 1_048_576],
    [".5", 524_288],
    ["", null],
  ])("parses to bytes a second: %j", (text, bytes) => {
    expect(amountOf(text, SPEED)).toBe(bytes);
  });

  it.each(["0", "-3", "1,5", "1e3", "0x10", "Infinity", "fast", "0.0009"])("is not %j", (text) => {
    expect(amountOf(text, SPEED)).toBe(0);
  });

  it("of connections is an integer in range", () => {
    const texts = ["1", "16", "17", "1.5", "0", ""];
    expect(texts.map((text) => amountOf(text, STREAMS))).toEqual([1, 16, 0, 0, 0, null]);
  });

  it("that is invalid is reported, and blocks the request", () => {
    const night = { days: [], start: "22:00", end: "06:00", zone: "UTC", limit: 0 };
    const options = { ...DEFAULT_OPTIONS, streams: 0, bandwidth_limit: 0, bandwidth_windows: [night] };
    expect(invalidFields(options, endsOf(B, [C]))).toHaveLength(3);
  });

  it("is formatted as the shortest exact text", () => {
    expect(amountText(1_101_005, SPEED)).toBe("1.05");
    expect(amountText(10 * 2 ** 20, SPEED)).toBe("10");
    expect(amountText(null, SPEED)).toBe("");
    for (const bytes of [1024, 1_234_567, 2 ** 40 + 1])
      expect(amountOf(amountText(bytes, SPEED), SPEED)).toBe(bytes);
  });
});

it("confirms a transfer that removes files, but not its dry run", () => {
  expect(removesFiles(DEFAULT_OPTIONS)).toBe(false);
  expect(removesFiles({ ...DEFAULT_OPTIONS, move: true })).toBe(true);
  expect(removesFiles({ ...DEFAULT_OPTIONS, delete_extra: true, dry_run: true })).toBe(false);
});

it("reads one pattern per line", () => {
  expect(patterns(" *.mov\n\n/raw/ \n")).toEqual(["*.mov", "/raw/"]);
});

it("describes the options that differ from the defaults", () => {
  expect(describeOptions(DEFAULT_OPTIONS)).toEqual(["replace what differs"]);
  const words = describeOptions({
    ...DEFAULT_OPTIONS,
    exclude: ["a/", "b/"],
    delete_extra: true,
    priority: "high",
  });
  expect(words.join(", ")).toMatch(/not a\/, b\/, remove at the destination .*, high priority/);
});

it("describes a bandwidth window", () => {
  const nights = { days: ["mon" as const], start: "22:00:00", end: "06:00:00", zone: "UTC", limit: null };
  expect(describeWindow(nights)).toBe("Mon 22:00–06:00 (UTC): no limit");
});

it("shows only the non-empty kinds of a dry run, changes first", () => {
  const none = { files: 0, bytes: 0 };
  const lines = previewRows({
    sent: { files: 2, bytes: 10 },
    replaced: none,
    removed: { files: 1, bytes: 3 },
    kept: none,
    unchanged: { files: 5, bytes: 9 },
    failed: { files: 1, bytes: 7 },
    space_shortage: null,
    examples: { sent: ["a", "b"], removed: ["old"], failed: ["l is a symbolic link."] },
  });
  expect(lines.map(({ kind, examples }) => [kind, examples])).toEqual([
    ["failed", ["l is a symbolic link."]],
    ["sent", ["a", "b"]],
    ["removed", ["old"]],
    ["unchanged", []],
  ]);
});

it("reports options that templates cannot have", () => {
  const text = "name: n\ntrigger: {bucket: media}\ndestinations: [server-b:/x/]\noptions:\n";
  expect(parseYaml(`${text}  move: true\n`)).toMatchObject({ errors: [{ line: 5 }] });
  expect(parseYaml(`${text}  include: "*.mov"\n`)).toMatchObject({ errors: [{ line: 5 }] });
  expect(parseYaml(`${text}  include: ["*.mov"]\n  delete_extra: false\n  priority: low\n`)).toHaveProperty(
    "request",
  );
});

it("says in one line what differs from the defaults, and nothing of the rest", () => {
  expect(changedOptions(DEFAULT_OPTIONS)).toEqual([]);
  const changed = changedOptions({ ...DEFAULT_OPTIONS, move: true, overwrite: "never" });
  expect(changed).toEqual(["keep existing files", "remove at the source what has arrived"]);
});
