import { expect, it } from "vitest";
import { mayApprove, type Verb, verbsFor } from "../src/actions";
import { mayAct, readClaims, roleOf } from "../src/session/claims";
import type { TransferState } from "../src/types";
import { transfer } from "./samples";
import { idToken } from "./tokens";

it.each<[TransferState, Verb[]]>([
  ["queued", ["pause", "cancel"]],
  ["running", ["pause", "cancel"]],
  ["paused", ["resume", "cancel"]],
  ["succeeded", []],
  ["partially_failed", ["retry"]],
  ["failed", ["retry"]],
  ["cancelled", ["retry"]],
])("offers for %s: %j", (state, verbs) => {
  expect(verbsFor(state, "operator")).toEqual(verbs);
  expect(verbsFor(state, "admin")).toEqual(verbs);
  expect(verbsFor(state, "viewer")).toEqual([]);
});

it("takes the strongest of the groups", () => {
  expect(roleOf(["viewer", "admin", "people"])).toBe("admin");
  expect(roleOf(["operator"])).toBe("operator");
  expect(roleOf([])).toBe("viewer");
});

it("lets a role do what the weaker ones may", () => {
  expect(mayAct("admin", "operator")).toBe(true);
  expect(mayAct("operator", "admin")).toBe(false);
});

it("reads the token's claims, whatever letters the name has", () => {
  const claims = readClaims(idToken({ email: "zoë@example.org", groups: ["operator"], exp: 1_800_000_000 }));
  expect(claims).toEqual({ user: "zoë@example.org", groups: ["operator"], expiresAt: 1_800_000_000_000 });
});

it("lets another person approve, not the one who asked, nor a viewer", () => {
  const approval = { policies: ["four-eyes"], asked_for: ["ann@example.org"], by: null, at: null };
  const waiting = { ...transfer(), state: "awaiting_approval" as const, approval };
  expect(mayApprove(waiting, "bo@example.org", "operator")).toBe(true);
  expect(mayApprove(waiting, "ann@example.org", "admin")).toBe(false);
  expect(mayApprove(waiting, "bo@example.org", "viewer")).toBe(false);
  expect(mayApprove({ ...waiting, approval: { ...approval, by: "bo" } }, "cy", "admin")).toBe(false);
});
