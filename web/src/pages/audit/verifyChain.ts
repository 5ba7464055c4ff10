/** Verify the audit by the rules of agent/cli/proof.py. Only the API's public signing keys are trusted. */
import { bytesOf, digestOf, type ExactJson, type Fields, numberOf } from "./canonicalJson";

const START = "0".repeat(64);
/** Milliseconds that a record may wait for its chain link. */
const CHAIN_DELAY_MS = 5 * 60_000;
/** How much later than its record's day a link's day may be: the stream keeps a record for one day. */
const LINK_DELAY_MS = 86_400_000;
/** By how many milliseconds a record may be newer than the end of its link's day. */
const CLOCK_SKEW_MS = 5 * 60_000;
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
  | "chainedTwice"
  | "chainedLate"
  | "chainedEarly"
  | "misdated"
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
  for (const [day, links] of byDay(audit)) errors.push(...(await chainErrors(day, links)));
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

async function recordErrors(audit: Audit, now: number): Promise<AuditError[]> {
  const { known, errors } = chained(audit);
  const [first = ""] = [...audit.links.keys()].sort();
  const found = new Set(audit.records.map((record) => String(record.record_id)));
  for (const id of known.keys()) {
    // A record that was linked after midnight may be older than the requested range.
    if (!found.has(id) && id.slice(0, 10) >= first) errors.push({ kind: "deleted", what: id });
  }
  for (const record of audit.records) {
    const id = String(record.record_id);
    const at = Date.parse(String(record.at));
    const waits = Math.abs(now - at) <= CHAIN_DELAY_MS;
    if (at !== Date.parse(`${id.slice(0, 23)}Z`)) errors.push({ kind: "misdated", what: id });
    if (!known.has(id)) {
      if (!waits) errors.push({ kind: "inserted", what: id });
    } else if ((await digestOf(record)) !== known.get(id)) errors.push({ kind: "changed", what: id });
  }
  return errors;
}

/**
 * Return the digest under which each record was chained first, and the problems of the entries. A later
 * entry never replaces an earlier one: whoever can add to a chain could otherwise make the changed record
 * the right one.
 */
function chained(audit: Audit): { known: Map<string, ExactJson>; errors: AuditError[] } {
  const known = new Map<string, ExactJson>();
  const errors: AuditError[] = [];
  for (const [day, links] of byDay(audit)) {
    const first = dayOf(Date.parse(day) - LINK_DELAY_MS);
    const last = new Date(Date.parse(day) + DAY_MS + CLOCK_SKEW_MS).toISOString().slice(0, 19);
    for (const entry of links.flatMap((link) => link.entries as Fields[])) {
      const id = String(entry.record_id);
      const digest = entry.digest ?? null;
      if (id.slice(0, 10) < first) errors.push({ kind: "chainedLate", what: id });
      if (id > last) errors.push({ kind: "chainedEarly", what: id });
      if (!known.has(id)) known.set(id, digest);
      else if (known.get(id) !== digest) errors.push({ kind: "chainedTwice", what: id });
    }
  }
  return { known, errors };
}

function byDay({ links }: Audit): [string, readonly Fields[]][] {
  return [...links].sort(([one], [other]) => (one < other ? -1 : 1));
}

async function sealErrors(audit: Audit, now: number): Promise<AuditError[]> {
  const errors: AuditError[] = [];
  const { seals, links, keys } = audit;
  const sealOf = new Map(seals.map((seal) => [String(seal.day), seal]));
  let previous = START;
  for (const day of sealedDays(audit, now)) {
    const seal = sealOf.get(day);
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

/**
 * Return the days that must be sealed: from the first to yesterday, whose seal is due at 01:00. The first is
 * the first seal's. Without any seal it is the first day that has links, since seals that were all removed
 * must show.
 */
function sealedDays(audit: Audit, now: number): string[] {
  const seals = audit.seals.map((seal) => String(seal.day));
  const linked = byDay(audit).flatMap(([day, links]) => (links.length > 0 ? [day] : []));
  const first = seals[0] ?? linked[0];
  if (!first) return [];
  const due = dayOf(now - DAY_MS - HOUR_MS);
  const last = seals[seals.length - 1] ?? due;
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
