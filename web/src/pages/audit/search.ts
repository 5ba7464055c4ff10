/**
 * Text search in the audit, done in the browser, since the API filters only by person, agent and transfer.
 */
import type { AuditFilter } from "../../hooks/queries";
import type { AuditRecord } from "../../types";

/** Matches and records after which the search waits for the "Load more" button. */
export const MATCHES_PER_STEP = 20;
export const RECORDS_PER_STEP = 2_000;

/** Return the records that contain every word, ignoring case; all records if the filter is not a text. */
export function matching(records: readonly AuditRecord[], { by, value }: AuditFilter): AuditRecord[] {
  const words = by === "text" ? value.toLowerCase().split(/\s+/).filter(Boolean) : [];
  return records.filter((record) => {
    const text = words.length > 0 ? searchText(record) : "";
    return words.every((word) => text.includes(word));
  });
}

function searchText({ before, after, who, policies, agents, ...plain }: AuditRecord): string {
  const texts = [
    ...Object.values(plain),
    who.id,
    who.name,
    ...policies,
    ...agents,
    JSON.stringify([before, after]),
  ];
  return texts.join("\n").toLowerCase();
}
