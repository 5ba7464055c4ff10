/** Verification of the audit in the browser: digests match the control plane's, and every change is found. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { digestOf, type Fields, parseExact } from "../src/pages/audit/canonicalJson";
import { type Audit, auditErrors } from "../src/pages/audit/verifyChain";

const SAMPLE = readFileSync(join(import.meta.dirname, "../../events/samples/audit/AuditRecord.json"), "utf8");
const DAY = "2026-11-24";
const NOW = Date.parse("2026-11-25T12:00:00Z");
const START = "0".repeat(64);

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

/** Return an audit of three records, two links and a seal. */
async function written(keys: CryptoKeyPair): Promise<Audit> {
  const records = ["0", "1", "2"].map((number) =>
    parseExact(
      SAMPLE.replace("2026-11-24T08:00:00.123456Z-1f3a9c07", `${DAY}T08:00:0${number}.123456Z-1f3a9c07`),
    ),
  );
  const entries: Fields[] = [];
  for (const one of records) entries.push({ record_id: one.record_id ?? null, digest: await digestOf(one) });
  const first = await digested({ day: DAY, number: 1, entries: entries.slice(0, 2), previous: START });
  const second = await digested({ day: DAY, number: 2, entries: entries.slice(2), previous: first.digest });
  const seal = parseExact(
    JSON.stringify({
      day: DAY,
      links: 2,
      last: second.digest,
      previous: START,
      at: `${DAY}T23:00:00Z`,
      kid: "k",
    }),
  );
  const algorithm = { name: "ECDSA", hash: "SHA-256" };
  const text = new TextEncoder().encode(await digestOf(seal));
  const signature = new Uint8Array(await crypto.subtle.sign(algorithm, keys.privateKey, text));
  const base64 = btoa(String.fromCharCode(...signature))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
  const jwk = { ...(await crypto.subtle.exportKey("jwk", keys.publicKey)), kid: "k" } as unknown as Fields;
  return {
    records,
    links: new Map([
      [DAY, [first, second]],
      ["2026-11-25", []],
    ]),
    seals: [{ ...seal, signature: base64 }],
    keys: [jwk],
  };
}

async function digested(link: object): Promise<Fields> {
  const said = parseExact(JSON.stringify(link));
  return { ...said, digest: await digestOf(said) };
}

describe("verification", () => {
  let audit: Audit;
  const kinds = async (changes: Partial<Audit>) =>
    (await auditErrors({ ...audit, ...changes }, NOW)).map(({ kind }) => kind);
  const chain = () => [...(audit.links.get(DAY) ?? [])] as [Fields, Fields];

  beforeAll(async () => {
    const curve = { name: "ECDSA", namedCurve: "P-256" };
    audit = await written(await crypto.subtle.generateKey(curve, true, ["sign", "verify"]));
  });

  it("finds nothing in an intact audit", async () => {
    expect(await kinds({})).toEqual([]);
  });

  it("finds a changed, deleted or inserted record", async () => {
    const [one, two, three] = audit.records as [Fields, Fields, Fields];
    expect(await kinds({ records: [{ ...one, who: "eve" }, two, three] })).toEqual(["changed"]);
    expect(await kinds({ records: [one, three] })).toEqual(["deleted"]);
    const stranger = { ...one, record_id: `${DAY}T09:00:00.000000Z-00000000` };
    expect(await kinds({ records: [one, two, three, stranger] })).toEqual(["inserted"]);
  });

  it("finds a removed or changed link", async () => {
    const [first, second] = chain();
    const links = (those: Fields[]) => ({ links: new Map([[DAY, those]]) });
    expect(await kinds(links([first]))).toEqual(["inserted", "otherChain"]);
    expect(await kinds(links([second]))).toContain("linkMissing");
    expect(await kinds(links([first, { ...second, entries: [] }]))).toContain("linkChanged");
  });

  it("finds a changed, forged or missing seal", async () => {
    const [seal] = audit.seals as [Fields];
    expect(await kinds({ seals: [{ ...seal, last: START }] })).toEqual(["sealInvalid", "otherChain"]);
    expect(await kinds({ keys: [] })).toEqual(["sealInvalid"]);
    expect((await auditErrors(audit, NOW + 86_400_000)).map(({ kind }) => kind)).toEqual(["sealMissing"]);
  });
});
