/** Verification of the audit in the browser: digests match the control plane's, and every change is found. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { digestOf, type Fields, parseExact } from "../src/pages/audit/canonicalJson";
import { type AuditError, auditErrors } from "../src/pages/audit/verifyChain";

const SAMPLE = readFileSync(join(import.meta.dirname, "../../events/samples/audit/AuditRecord.json"), "utf8");

describe("a digest", () => {
  it("equals that of events/audit.py for the same record", async () => {
    expect(await digestOf(parseExact(SAMPLE))).toBe(
      "8667f560b94011ef5c27b8da70757db9715019d70589e695fd939f46f49187cc",
    );
  });

  it("keeps numbers and characters as written, and omits defaults", async () => {
    const strange = {
      about: '"transfer ü \\u007f 🎬 \\"x\\"\\\\"',
      before: '{"load":5.0,"n":12345678901234567890,"deep":{"b":[1,-2.5,true,null],"a":""}}',
    };
    const record = Object.entries(JSON.parse(SAMPLE) as Record<string, unknown>)
      .filter(([name]) => name !== "policies")
      .map(
        ([name, value]) => `"${name}": ${name in strange ? strange[name as "about"] : JSON.stringify(value)}`,
      );
    expect(await digestOf(parseExact(`{${[...record, '"policies": []'].join(", ")}}`))).toBe(
      "cb3ed42718c1a1dd5633f81544f38a7a1a8beb4a91df9e2edd5bb92a9dbf8921",
    );
  });
});

interface Case {
  name: string;
  now: string;
  records: Fields[];
  links: Record<string, Fields[]>;
  seals: Fields[];
  keys: Fields[];
  flaws: AuditError[];
}

/** Audits that were tampered with, and what must be found: the same file as the command's tests. */
const VECTORS = readFileSync(join(import.meta.dirname, "../../tests/support/audit_vectors.json"), "utf8");

describe("verification", () => {
  it.each((parseExact(VECTORS) as unknown as { cases: Case[] }).cases)("shows that $name", async (audit) => {
    const links = new Map(Object.entries(audit.links));
    expect(await auditErrors({ ...audit, links }, Date.parse(audit.now))).toEqual(audit.flaws);
  });
});
