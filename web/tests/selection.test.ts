/** Names that were selected, as patterns: tests/unit/agent/pull/test_selected_names.py lets an agent match the same. */
import { expect, it } from "vitest";
import { elided } from "../src/format/names";
import { patterns } from "../src/model/options";
import { areTooMany, includesAfter, includesOf, namesOf } from "../src/model/selection";
import selected from "./selectedNames.json";

it.each(selected)("writes the name $name so that a field of patterns and a reader get it back", (one) => {
  const { name, file, directory } = one;
  expect(includesOf([{ name, type: "file" }])).toEqual([file]);
  expect(includesOf([{ name, type: "directory" }])).toEqual([directory]);
  expect(includesOf([{ name, type: "symlink" }])).toEqual([file, directory]);
  expect(patterns([file, directory].join("\n"))).toEqual([file, directory]);
  expect(namesOf([file])).toEqual([name]);
  expect(namesOf([directory])).toEqual([`${name}/`]);
});

it("takes patterns for a selection only if they name nothing else", () => {
  expect(namesOf([])).toBeNull();
  for (const pattern of [
    "*.mov",
    "/*.mov",
    "/raw/*.mov",
    "raw",
    "/raw/",
    "/a/b",
    "/x[ab]",
    "/{a,b}",
    "/a/**/b",
  ]) {
    expect(namesOf(["/ep1.mov", pattern])).toBeNull();
  }
});

it("forgets an earlier selection, and keeps patterns that somebody wrote", () => {
  expect(includesAfter(["/ep1.mov"], [])).toEqual([]);
  expect(includesAfter(["*.mov"], [])).toEqual(["*.mov"]);
  expect(includesAfter(["*.mov"], ["/a", "/b"])).toEqual(["/a", "/b"]);
});

it("says in advance what the API would refuse", () => {
  const named = (count: number, length: number) =>
    includesOf(Array.from({ length: count }, () => ({ name: "x".repeat(length), type: "file" as const })));
  expect(areTooMany(named(100, 80))).toBe(false);
  expect(areTooMany(named(101, 1))).toBe(true);
  expect(areTooMany(named(40, 255))).toBe(true);
});

it("leaves out the middle of a long name, and never half a character", () => {
  const family = "\u{1F469}\u200D\u{1F467}";
  expect(elided("ep1.mov", 10)).toBe("ep1.mov");
  expect(elided(`begin${"x".repeat(245)}e.mov`, 11)).toBe("begin…e.mov");
  expect(elided(family.repeat(30), 5)).toBe(`${family.repeat(2)}…${family.repeat(2)}`);
});
