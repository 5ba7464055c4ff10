/** Verify the audit by the rules of agent/cli/proof.py. Only the API's public signing keys are trusted. */
import { bytesOf, digestOf, type ExactJson, type Fields, numberOf } from "./canonicalJson";

const START = "0".repeat(64);
/** Milliseconds that a record may wait for its chain link. */
const CHAIN_DELAY_MS = 5 * 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

export interface Audit {
  records: readonly Fields[];
  /** Links by day, for every day from the first record's to today. */
  links: ReadonlyMap<string, readonly Fields[]>;
  seals: readonly Fields[];
  keys: readonly Fields[];
}

export type AuditErrorKind =
  | "linkMissing"
  | "linkMismatch"
  | "linkChanged"
  | "deleted"
  | "changed"
  | "inserted"
  | "sealMissing"
  | "sealMismatch"
  | "sealInvalid"
  | "otherChain";

/** A kind of problem, and the day, link or record it is about. */
export interface AuditError {
  kind: AuditErrorKind;
  what: string;
}

export function dayOf(moment: number): string {
  return new Date(moment).toISOString().slice(0, 10);
}

/** Return all days from the first to the last, inclusive. */
export function daysBetween(first: string, last: string): string[] {
  const days: string[] = [];
  for (let at = Date.parse(first); at <= Date.parse(last); at += DAY_MS) days.push(dayOf(at));
  return days;
}

/** Return all problems of the audit; empty if it is intact. */
export async function auditErrors(audit: Audit, now: number): Promise<AuditError[]> {
  const errors: AuditError[] = [];
  for (const [day, links] of audit.links) errors.push(...(await chainErrors(day, links)));
  errors.push(...(await recordErrors(audit, now)));
  errors.push(...(await sealErrors(audit, now)));
  return errors;
}

async function chainErrors(day: string, links: readonly Fields[]): Promise<AuditError[]> {
  const errors: AuditError[] = [];
  let previous: ExactJson = START;
  for (const [at, link] of links.entries()) {
    const what = `${day} #${at + 1}`;
    if (numberOf(link.number) !== at + 1) return [...errors, { kind: "linkMissing", what }];
    if (link.previous !== previous) errors.push({ kind: "linkMismatch", what });
    if ((await digestOf(link)) !== link.digest || link.day !== day)
      errors.push({ kind: "linkChanged", what });
    previous = link.digest ?? null;
  }
  return errors;
}

async function recordErrors({ links, records }: Audit, now: number): Promise<AuditError[]> {
  const errors: AuditError[] = [];
  const [first = ""] = [...links.keys()].sort();
  const entries = [...links.values()].flat().flatMap((link) => link.entries as Fields[]);
  const known = new Map(entries.map(({ record_id, digest }) => [String(record_id), digest]));
  const found = new Map(records.map((record) => [String(record.record_id), record]));
  for (const [id, digest] of known) {
    // A record that was linked after midnight may be older than the requested range.
    if (id.slice(0, 10) < first) continue;
    const record = found.get(id);
    if (!record) errors.push({ kind: "deleted", what: id });
    else if ((await digestOf(record)) !== digest) errors.push({ kind: "changed", what: id });
  }
  for (const [id, record] of found) {
    const waits = now - Date.parse(String(record.at)) <= CHAIN_DELAY_MS;
    if (!known.has(id) && !waits) errors.push({ kind: "inserted", what: id });
  }
  return errors;
}

async function sealErrors({ seals, links, keys }: Audit, now: number): Promise<AuditError[]> {
  const errors: AuditError[] = [];
  const byDay = new Map(seals.map((seal) => [String(seal.day), seal]));
  let previous = START;
  for (const day of sealedDays([...byDay.keys()], now)) {
    const seal = byDay.get(day);
    if (!seal) {
      errors.push({ kind: "sealMissing", what: day });
      continue;
    }
    const digest = await digestOf(seal);
    const chain = links.get(day);
    if (seal.previous !== previous) errors.push({ kind: "sealMismatch", what: day });
    if (!(await isSigned(seal, digest, keys))) errors.push({ kind: "sealInvalid", what: day });
    if (chain && !isSealedBy(chain, seal)) errors.push({ kind: "otherChain", what: day });
    previous = digest;
  }
  return errors;
}

function isSealedBy(chain: readonly Fields[], seal: Fields): boolean {
  const last = chain[chain.length - 1]?.digest ?? START;
  return chain.length === numberOf(seal.links) && last === seal.last;
}

/** Return the days that must be sealed: from the first seal to yesterday, which may be sealed until 01:00. */
function sealedDays(days: readonly string[], now: number): string[] {
  const [first, last] = [days[0], days[days.length - 1]];
  if (!first || !last) return [];
  const due = dayOf(now - DAY_MS - HOUR_MS);
  return daysBetween(first, due > last ? due : last);
}

async function isSigned(seal: Fields, digest: string, keys: readonly Fields[]): Promise<boolean> {
  const known = keys.find(({ kid }) => kid === seal.kid);
  if (!known) return false;
  const { kty, crv, x, y } = known as Record<string, string>;
  const curve = { name: "ECDSA", namedCurve: "P-256" };
  const key = await crypto.subtle.importKey("jwk", { kty, crv, x, y }, curve, false, ["verify"]);
  const signature = fromBase64Url(String(seal.signature));
  return crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, signature, bytesOf(digest));
}

/** Decode base64url. */
function fromBase64Url(text: string): Uint8Array<ArrayBuffer> {
  const letters = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
}
