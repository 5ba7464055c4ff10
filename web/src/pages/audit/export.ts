/** Export audit records as JSON Lines, or as CSV with a header line. */
import { csvRow } from "../../format/csv";
import type { AuditRecord } from "../../types";

const COLUMNS = [
  "record_id",
  "at",
  "who",
  "who_id",
  "address",
  "action",
  "about",
  "decision",
  "policies",
  "why",
  "repeats",
  "transfer_id",
  "agents",
  "before",
  "after",
] as const satisfies readonly (keyof AuditRecord | "who_id")[];

export function jsonLines(records: readonly AuditRecord[]): string {
  return records.map((record) => `${JSON.stringify(record)}\n`).join("");
}

export function csv(records: readonly AuditRecord[]): string {
  const flat = records.map((record) => ({ ...record, who: record.who.name, who_id: record.who.id }));
  const rows = flat.map((record) => COLUMNS.map((name) => record[name]));
  return [[...COLUMNS], ...rows].map(csvRow).join("");
}
