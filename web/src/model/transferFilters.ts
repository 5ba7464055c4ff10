/** Criteria of the list of transfers: in the page's address, and as the API's query. */
import type { Query } from "../api/client";
import { TRANSFER_STATES } from "../format/states";
import type { Attention, TransferState } from "../types";

export const ATTENTION: Attention[] = ["awaiting_approval", "paused", "failed", "partially_failed"];
export const DAYS = ["1", "7", "30", "90", "all"] as const;
/** Days that a list without a time range covers; a search covers all. */
export const DEFAULT_DAYS = "90";
const DAY_MS = 86_400_000;
const DATE = /^\d{4}-\d{2}-\d{2}$/;

export interface Filters {
  /** Texts, each of which occurs in the paths, ids, objects or requester. */
  search: string | null;
  status: TransferState | null;
  /** Only transfers that a person must look at for this reason, of any age. */
  attention: Attention | null;
  agent: string | null;
  template: string | null;
  /** Name of the person who requested them. */
  by: string | null;
  /** True: dry runs only; false: no dry runs; null: both. */
  dryRun: boolean | null;
  days: (typeof DAYS)[number] | null;
  /** First and last day, `2026-11-24`, in the viewer's time zone; they replace `days`. */
  from: string | null;
  to: string | null;
  sort: "oldest" | null;
}

/** Read the criteria from the address of the page; what is invalid is left out. */
export function readFilters(query: URLSearchParams): Filters {
  const one = <T extends string>(name: string, values: readonly T[]): T | null =>
    values.find((value) => value === query.get(name)) ?? null;
  const date = (name: string): string | null => {
    const text = query.get(name) ?? "";
    return DATE.test(text) && !Number.isNaN(Date.parse(text)) ? text : null;
  };
  const dryRun = one("dry_run", ["true", "false"]);
  return {
    search: query.get("search")?.trim().slice(0, 200) || null,
    status: one("status", TRANSFER_STATES),
    attention: one("attention", ATTENTION),
    agent: query.get("agent") || null,
    template: query.get("template") || null,
    by: query.get("by") || null,
    dryRun: dryRun === null ? null : dryRun === "true",
    days: one("days", DAYS),
    from: date("from"),
    to: date("to"),
    sort: one("sort", ["oldest"]),
  };
}

/** Return the criteria as parts of the page's address. */
export function filterAddress({ dryRun, ...others }: Partial<Filters>): Record<string, string | null> {
  return { ...others, dry_run: dryRun === undefined || dryRun === null ? null : String(dryRun) };
}

/** Return whether the list is narrowed: by anything but its order. */
export function isFiltered({ sort, ...criteria }: Filters): boolean {
  return Object.values(criteria).some((one) => one !== null);
}

/** Return the criteria as the API's query. Relative times are whole minutes, so that the query stays equal. */
export function filterQuery(
  { days, from, to, dryRun, sort, ...others }: Partial<Filters>,
  now: number,
): Query {
  const ago = (count: number) => new Date(Math.floor(now / 60_000) * 60_000 - count * DAY_MS).toISOString();
  const since = from ? midnight(from, 0) : days === "all" ? ago(36_500) : days ? ago(Number(days)) : null;
  return { ...others, dry_run: dryRun, since, until: to ? midnight(to, 1) : null };
}

/** Return when a day, or the one that many days later, begins for the viewer. */
function midnight(day: string, later: number): string {
  const [year = 0, month = 1, date = 1] = day.split("-").map(Number);
  return new Date(year, month - 1, date + later).toISOString();
}
