/** Export audit records as JSON Lines, or as CSV with a header line. */
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
  const rows = flat.map((record) => COLUMNS.map((name) => cell(record[name])));
  return [[...COLUMNS], ...rows].map((row) => `${row.map(quoted).join(",")}\r\n`).join("");
}

/**
 * Return a value as text, or as JSON. Text that a spreadsheet would take for a formula gets a quote in
 * front.
 */
function cell(value: unknown): string {
  const text = typeof value === "string" ? value : value == null ? "" : JSON.stringify(value);
  return /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
}

function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
