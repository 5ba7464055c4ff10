import { expect, it } from "vitest";
import { auditQuery } from "../src/hooks/queries";
import { csv, jsonLines } from "../src/pages/audit/export";
import { matching } from "../src/pages/audit/search";
import type { AuditRecord } from "../src/types";

const RECORD: AuditRecord = {
  record_id: "2026-11-24T01:30:00.000000Z-0a1b2c3d",
  at: "2026-11-24T01:30:00.000Z",
  who: { id: "5f2b7a1e", name: "=cmd()" },
  address: null,
  action: "policy.put",
  about: "policy night-only",
  decision: "allowed",
  policies: ["admin"],
  why: 'full, "by day"',
  transfer_id: null,
  agents: [],
  repeats: 0,
  before: null,
  after: { version: 2 },
};

it("queries by one field and the chosen time range", () => {
  const now = Date.parse("2026-11-24T00:00:00Z");
  expect(auditQuery({ by: "agent", value: "server-b", days: 1 }, now)).toEqual({
    since: "2026-11-23T00:00:00.000Z",
    agent: "server-b",
  });
  expect(auditQuery({ by: "person", value: "", days: 1 }, now).person).toBeNull();
});

it("finds records with every word, in any field and case", () => {
  const found = (value: string) => matching([RECORD], { by: "text", value, days: 1 }).length;
  for (const text of ["night-only", "POLICY by", "version", "=cmd", "allowed", ""])
    expect(found(text)).toBe(1);
  for (const text of ["lab-only", "policy lab"]) expect(found(text)).toBe(0);
  expect(matching([RECORD], { by: "person", value: "ann", days: 1 })).toHaveLength(1);
  expect(auditQuery({ by: "text", value: "x", days: 1 }, Date.now())).not.toHaveProperty("text");
});

it("exports CSV without spreadsheet formulas", () => {
  const [title, line] = csv([RECORD]).split("\r\n");
  expect(title).toMatch(/^record_id,at,who,who_id,address,/);
  expect(line).toContain(",'=cmd(),5f2b7a1e,");
  expect(line).toContain('"full, ""by day"""');
  expect(line).toContain('"{""version"":2}"');
});

it("exports JSON Lines as the API returns them", () => {
  expect(JSON.parse(jsonLines([RECORD]).trim())).toEqual(RECORD);
});
