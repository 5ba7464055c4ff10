import { expect, it } from "vitest";
import { mayApprove, type Verb, verbsFor } from "../src/model/transferActions";
import { mayAct, readClaims, roleOf } from "../src/session/claims";
import type { TransferState } from "../src/types";
import { transfer } from "./samples";
import { idToken } from "./tokens";

it.each<[TransferState, Verb[]]>([
  ["queued", ["pause", "cancel"]],
  ["running", ["pause", "cancel"]],
  ["paused", ["resume", "cancel"]],
  ["succeeded", []],
  ["partially_failed", ["retry", "acknowledge"]],
  ["failed", ["retry", "acknowledge"]],
  ["cancelled", ["retry"]],
])("offers for %s: %j", (state, verbs) => {
  expect(verbsFor({ ...transfer(), state }, "operator")).toEqual(verbs);
  expect(verbsFor({ ...transfer(), state }, "admin")).toEqual(verbs);
  expect(verbsFor({ ...transfer(), state }, "viewer")).toEqual([]);
});

it.each([{ acknowledged_by: { id: "1", name: "Ada" } }, { dry_run: true }])(
  "offers no acknowledgment of a failure that nobody is told of: %j",
  (settled) => {
    expect(verbsFor({ ...transfer(), state: "failed", ...settled }, "operator")).toEqual(["retry"]);
  },
);

it("takes the highest role of the groups", () => {
  expect(roleOf(["viewer", "admin", "people"])).toBe("admin");
  expect(roleOf(["operator"])).toBe("operator");
  expect(roleOf([])).toBe("viewer");
});

it("includes the permissions of lower roles", () => {
  expect(mayAct("admin", "operator")).toBe(true);
  expect(mayAct("operator", "admin")).toBe(false);
});

it("reads a token's claims with non-ASCII names", () => {
  const given = { sub: "0a1b", email: "zoë@example.org", groups: ["operator"], exp: 1_800_000_000 };
  const claims = { id: "0a1b", user: "zoë@example.org", groups: ["operator"], expiresAt: 1_800_000_000_000 };
  expect(readClaims(idToken(given))).toEqual(claims);
});

it("lets another operator approve, but not the requester or a viewer", () => {
  const ann = { id: "1", name: "ann@example.org" };
  const approval = {
    policies: ["four-eyes"],
    asked_for: [ann],
    by: null,
    at: null,
    declined_by: null,
    declined_at: null,
    why: "",
  };
  const waiting = { ...transfer(), state: "awaiting_approval" as const, approval };
  expect(mayApprove(waiting, "2", "operator")).toBe(true);
  expect(mayApprove(waiting, "1", "admin")).toBe(false);
  expect(mayApprove(waiting, "2", "viewer")).toBe(false);
  expect(
    mayApprove({ ...waiting, approval: { ...approval, by: { id: "2", name: "bo" } } }, "3", "admin"),
  ).toBe(false);
});
