import { expect, it } from "vitest";
import { parentOf, sortedEntries } from "../src/components/DirectoryBrowser";
import { listing } from "./samples";

const [sample] = listing().entries;
if (!sample) throw new Error("the sample lists nothing");
const entry = (name: string, type: "file" | "directory", size = 0) => ({ ...sample, name, type, size });

it("lists directories first, whatever the order, and numbers as numbers", () => {
  const entries = [
    entry("take 10.mov", "file", 1),
    entry("take 9.mov", "file", 5),
    entry("z", "directory"),
    entry("a", "directory"),
  ];
  const names = (by: "name" | "size", descending: boolean) =>
    sortedEntries(entries, by, descending).map(({ name }) => name);
  expect(names("name", false)).toEqual(["a", "z", "take 9.mov", "take 10.mov"]);
  expect(names("name", true)).toEqual(["z", "a", "take 10.mov", "take 9.mov"]);
  expect(names("size", true)).toEqual(["a", "z", "take 9.mov", "take 10.mov"]);
});

it("goes up from a directory that does not exist, and never above a root", () => {
  const roots = [{ path: "/archive", access: "rw" as const, about: "" }];
  expect(parentOf("/archive/new/deep", { roots })).toBe("/archive/new");
  expect(parentOf("/archive/new", { roots })).toBe("/archive");
  expect(parentOf("/archive", { roots })).toBeNull();
});
