/** Searching the audit for any text: the API finds by person, agent and transfer; what is left is read here. */
import type { AuditFilter } from "../../hooks/queries";
import type { AuditRecord } from "../../types";

/** So many are looked for at once, and so many records looked through, before somebody has to ask for more. */
export const MATCHES_PER_STEP = 20;
export const RECORDS_PER_STEP = 2_000;

/** Those that have every word of the text somewhere, in any case; all, where no text is searched for. */
export function matching(records: readonly AuditRecord[], { by, value }: AuditFilter): AuditRecord[] {
  const words = by === "text" ? value.toLowerCase().split(/\s+/).filter(Boolean) : [];
  return records.filter((record) => {
    const said = words.length > 0 ? searchText(record) : "";
    return words.every((word) => said.includes(word));
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
