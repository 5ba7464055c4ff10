import { expect, it } from "vitest";
import { given, rootError } from "../src/pages/agents/roots";

const rw = (...paths: string[]) => paths.map((path) => ({ path, access: "rw" as const }));

it.each(["/data", " /data 2/ä/ ", "/"])("takes the root %j", (path) => {
  expect(rootError(rw(path), 0)).toBe("");
});

it.each([
  ["", /absolute path/],
  ["data", /absolute path/],
  ["/data/../etc", /'..'/],
  ['/da"ta', /agent.toml/],
  ["/da\\ta", /agent.toml/],
  ["/da\u202eta", /agent.toml/],
])("says what is wrong with the root %j", (path, words) => {
  expect(rootError(rw(path), 0)).toMatch(words);
});

it("says of the second that it is there already, however it is written", () => {
  const roots = rw("/data", "/archive", "/./data//");
  expect([0, 1, 2].map((number) => rootError(roots, number))).toEqual(["", "", "This root is named twice."]);
});

it("writes each in its plain form", () => {
  expect(given(rw(" /data/ ", "/"))).toEqual(rw("/data", "/"));
});
