import { expect, it } from "vitest";
import { rootError, rootsForApi } from "../src/pages/agents/roots";

const rw = (...paths: string[]) => paths.map((path) => ({ path, access: "rw" as const }));

it.each(["/data", " /data 2/ä/ ", "/"])("accepts the root %j", (path) => {
  expect(rootError(rw(path), 0)).toBe("");
});

it.each([
  ["", /absolute path/],
  ["data", /absolute path/],
  ["/data/../etc", /'..'/],
  ['/da"ta', /agent.toml/],
  ["/da\\ta", /agent.toml/],
  ["/da\u202eta", /agent.toml/],
])("rejects the root %j", (path, words) => {
  expect(rootError(rw(path), 0)).toMatch(words);
});

it("rejects a duplicate root in any spelling", () => {
  const roots = rw("/data", "/archive", "/./data//");
  expect([0, 1, 2].map((number) => rootError(roots, number))).toEqual(["", "", "This root is named twice."]);
});

it("normalizes each path", () => {
  expect(rootsForApi(rw(" /data/ ", "/"))).toEqual(rw("/data", "/"));
});
