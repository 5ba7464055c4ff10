/** Fetch the audit of the last days from the API and verify it. */
import type { Api, Query } from "../../api/client";
import { type Fields, parseExact } from "./canonicalJson";
import { type AuditError, auditErrors, dayOf, daysBetween } from "./verifyChain";

export const DAYS = 30;
const LIMIT = 200;

export interface VerificationResult {
  records: number;
  seals: number;
  errors: AuditError[];
}

export async function verifyAudit(api: Api, now: number): Promise<VerificationResult> {
  const first = dayOf(now - DAYS * 86_400_000);
  const { seals, keys } = parseExact(await api.text("/audit/seals")) as { seals: Fields[]; keys: Fields[] };
  const links = new Map<string, Fields[]>();
  for (const day of daysBetween(first, dayOf(now))) {
    links.set(day, await fetchAll(api, `/audit/chain/${day}`, "links", {}));
  }
  // Fetch records after the chain, so that every linked record is included.
  const records = await fetchAll(api, "/audit", "records", { since: `${first}T00:00:00Z` });
  const errors = await auditErrors({ records, links, seals, keys }, now);
  return { records: records.length, seals: seals.length, errors };
}

async function fetchAll(api: Api, path: string, field: string, query: Query): Promise<Fields[]> {
  const found: Fields[] = [];
  let after: string | null = null;
  do {
    const page = parseExact(await api.text(path, { ...query, limit: LIMIT, after }));
    found.push(...(page[field] as Fields[]));
    after = (page.next as string | null) ?? null;
  } while (after);
  return found;
}
