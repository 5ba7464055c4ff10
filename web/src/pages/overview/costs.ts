import { csvRow } from "../../format/csv";
import type { Costs } from "../../types";

const COLUMNS = [
  "id",
  "name",
  "transfers",
  "bytes_arrived",
  "dollars",
  "requests",
  "egress",
  "relay",
  "storage_a_month",
] as const;

/** Return a month's costs as CSV, with the columns of `crosshaul costs --csv`. */
export function costsCsv({ month, by, sums, others }: Costs): string {
  return [
    csvRow(["month", "by", ...COLUMNS]),
    ...[...sums, ...(others ? [others] : [])].map((sum) =>
      csvRow([month, by, ...COLUMNS.map((column) => sum[column])]),
    ),
  ].join("");
}

/** Return this month and the one before, in UTC, as the API writes months. */
export function lastTwoMonths(now: Date): string[] {
  const before = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - 1, 1));
  return [now, before].map((day) => day.toISOString().slice(0, 7));
}
