/** The console's API queries and their polling intervals. */
import { keepPreviousData, type QueryClient, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import type { Api, Query } from "../api/client";
import { useApi } from "../appContext";
import { hasAgentNews, hasChangeFeed } from "../live/connectionState";
import { isUnfinished } from "../model/transferActions";
import { type Filters, filterQuery } from "../model/transferFilters";
import type {
  Agent,
  AgentStatus,
  AttentionView,
  AuditPage,
  AuditRecord,
  AuditSeals,
  Buckets,
  Fleet,
  Overview,
  Policies,
  PolicyDetails,
  Rollout,
  Template,
  TimelinePage,
  Transfer,
  TransferCount,
  TransferSummary,
  TransfersPage,
  Update,
  UpdateDetails,
} from "../types";

/** Polling intervals while something is running, and while nothing is. */
const FAST_POLL_MS = 3_000;
const SLOW_POLL_MS = 5_000;
/** Polling intervals while the broker reports changes: for checkpoints, and for lost messages. */
const CHECKPOINT_POLL_MS = 10_000;
const SAFETY_POLL_MS = 60_000;
/** Number of agents on a page, and of those that are asked for by name at once. */
export const FLEET_PAGE_SIZE = 50;
const MAX_NAMES = 50;
const NAME = /^[a-z0-9-]{1,63}$/;
const MAX_PAGE_SIZE = 100;
const SETTINGS_POLL_MS = 30_000;
const PAGE_SIZE = 20;
/** Up to these the running, and the queued or waiting transfers are counted. */
export const MAX_RUNNING = 1_000;
export const MAX_WAITING = 500;

/** One page of the transfers that meet the criteria. */
export function useTransfers(filters: Partial<Filters>, after: string | null, limit = PAGE_SIZE) {
  const api = useApi();
  return useQuery({
    queryKey: ["transfers", filters, after, limit],
    queryFn: ({ signal }) => {
      const query = { ...filterQuery(filters, Date.now()), sort: filters.sort, after, limit };
      return api.get<TransfersPage>("/transfers", query, signal);
    },
    refetchInterval: ({ state }) =>
      pollInterval(state.data?.transfers.some((one) => isUnfinished(one.state)) ?? true),
  });
}

/** How many transfers meet the criteria; asked once a minute, since it reads more than a page. */
export function useTransferCount(filters: Partial<Filters>) {
  const api = useApi();
  return useQuery({
    queryKey: ["transferCount", { ...filters, sort: null }],
    queryFn: ({ signal }) =>
      api.get<TransferCount>("/transfers/count", filterQuery(filters, Date.now()), signal),
    refetchInterval: SAFETY_POLL_MS,
  });
}

export function useTransfer(transferId: string) {
  const api = useApi();
  return useQuery({
    queryKey: ["transfer", transferId],
    queryFn: ({ signal }) =>
      api.get<Transfer>(`/transfers/${encodeURIComponent(transferId)}`, undefined, signal),
    refetchInterval: ({ state }) =>
      !state.data || isUnfinished(state.data.state) ? pollInterval(true) : false,
  });
}

/** Read a transfer's timeline backwards from a cursor, page by page; nothing without a cursor. */
export function useEarlierTimeline(transferId: string, cursor: string | null) {
  const api = useApi();
  return useInfiniteQuery({
    queryKey: ["timeline", transferId, cursor],
    queryFn: ({ signal, pageParam }) =>
      api.get<TimelinePage>(
        `/transfers/${encodeURIComponent(transferId)}/timeline`,
        { after: pageParam, limit: MAX_PAGE_SIZE },
        signal,
      ),
    initialPageParam: cursor,
    getNextPageParam: (last) => last.next,
    enabled: cursor !== null,
    // What has happened does not change.
    staleTime: Number.POSITIVE_INFINITY,
  });
}

/** Return the polling interval of transfers in milliseconds. */
function pollInterval(goesOn: boolean): number {
  if (hasChangeFeed()) return goesOn ? CHECKPOINT_POLL_MS : SAFETY_POLL_MS;
  return goesOn ? FAST_POLL_MS : SLOW_POLL_MS;
}

/** Buckets that transfers may read and write. They change only with a deployment. */
export function useBuckets(active = true) {
  const api = useApi();
  return useQuery({
    enabled: active,
    queryKey: ["buckets"],
    queryFn: ({ signal }) => api.get<Buckets>("/buckets", undefined, signal),
    staleTime: Number.POSITIVE_INFINITY,
  });
}

const RUNNING = { status: "running", dry_run: false } as const;

/** Running transfers without dry runs, up to MAX_RUNNING. */
export function useRunning() {
  const api = useApi();
  return useQuery({
    queryKey: ["transfers", "running"],
    queryFn: ({ signal }) =>
      fetchAllPages<TransferSummary>(api, "/transfers", "transfers", signal, RUNNING, MAX_RUNNING),
    refetchInterval: () => pollInterval(true),
  });
}

/** Transfers that a person must look at, and how many are queued. */
export function useAttention() {
  const api = useApi();
  return useQuery({
    queryKey: ["transfers", "attention"],
    queryFn: ({ signal }) => api.get<AttentionView>("/attention", undefined, signal),
    refetchInterval: () => pollInterval(true),
  });
}

/** Totals of today, from the viewer's midnight, and of 30 days. */
export function useOverview() {
  const api = useApi();
  const midnight = new Date(new Date().setHours(0, 0, 0, 0)).toISOString();
  return useQuery({
    queryKey: ["transfers", "overview", midnight],
    queryFn: ({ signal }) => api.get<Overview>("/overview", { midnight }, signal),
    refetchInterval: SETTINGS_POLL_MS,
  });
}

export function useAgent(agentId: string) {
  const api = useApi();
  return useQuery({
    queryKey: ["agents", agentId],
    queryFn: ({ signal }) => api.get<Agent>(`/agents/${encodeURIComponent(agentId)}`, undefined, signal),
    refetchInterval: FAST_POLL_MS,
  });
}

/** Read again what pages show of agents, after a change of one. */
export async function refetchAgents(queries: QueryClient): Promise<void> {
  await Promise.all(["agents", "fleet"].map((what) => queries.invalidateQueries({ queryKey: [what] })));
}

/** The latest transfers that a template started. */
export function useRuns(templateId: string) {
  const api = useApi();
  const filter = { template: templateId, limit: PAGE_SIZE };
  return useQuery({
    queryKey: ["transfers", "runs", templateId],
    queryFn: async ({ signal }) => (await api.get<TransfersPage>("/transfers", filter, signal)).transfers,
    refetchInterval: () => pollInterval(false),
  });
}

/** Criteria for agents: all that are given must hold. */
export interface FleetFilter {
  /** The beginning of the names. */
  search?: string;
  status?: AgentStatus | null;
  /** `site=berlin` */
  tag?: string | null;
  attention?: boolean;
  outdated?: boolean;
}

interface FleetPage {
  after?: string | null;
  limit?: number;
  enabled?: boolean;
}

/** One page of agents in short, and how many there are in all: one request, whatever their number is. */
export function useFleet(
  filter: FleetFilter = {},
  { after = null, limit = FLEET_PAGE_SIZE, enabled = true }: FleetPage = {},
) {
  const api = useApi();
  const query = { ...filter, search: filter.search ? namesBegin(filter.search) : null, after, limit };
  return useQuery({
    queryKey: ["fleet", query],
    queryFn: ({ signal }) => api.get<Fleet>("/fleet", query, signal),
    enabled,
    refetchInterval: fleetPollInterval,
    placeholderData: keepPreviousData,
  });
}

/** Return the polling interval of lists of agents in milliseconds. */
function fleetPollInterval(): number {
  return hasAgentNews() ? SAFETY_POLL_MS : SLOW_POLL_MS;
}

/** Return the text as the beginning of names; a lone dash, with which no name begins, if it cannot be one. */
export function namesBegin(text: string): string {
  const typed = text.trim().toLowerCase();
  return /^[a-z0-9-]{0,63}$/.test(typed) ? typed : "-";
}

/** These agents in short, without those that do not exist, and how many there are in all. */
export function useAgentsNamed(names: readonly string[], { often = false, enabled = true } = {}) {
  const api = useApi();
  const wanted = [...new Set(names)].filter((name) => NAME.test(name)).sort();
  return useQuery({
    queryKey: ["fleet", "named", wanted],
    queryFn: async ({ signal }) => {
      const parts: Fleet[] = [];
      for (let first = 0; first < wanted.length; first += MAX_NAMES) {
        const some = wanted.slice(first, first + MAX_NAMES).join(",");
        parts.push(await api.get<Fleet>("/fleet", { names: some }, signal));
      }
      return { agents: parts.flatMap(({ agents }) => agents), counts: parts[0]?.counts };
    },
    enabled: enabled && wanted.length > 0,
    refetchInterval: often ? FAST_POLL_MS : fleetPollInterval,
    placeholderData: keepPreviousData,
  });
}

/** Rollouts, polled fast while a person watches servers join. */
export function useRollouts() {
  const api = useApi();
  return useQuery({
    queryKey: ["rollouts"],
    queryFn: ({ signal }) => fetchAllPages<Rollout>(api, "/rollouts", "rollouts", signal),
    refetchInterval: FAST_POLL_MS,
  });
}

/** Updates of agents, newest first. */
export function useUpdates() {
  const api = useApi();
  return useQuery({
    queryKey: ["updates"],
    queryFn: async ({ signal }) => {
      const found = await fetchAllPages<Update>(api, "/updates", "updates", signal);
      return found.sort((one, other) => other.created_at.localeCompare(one.created_at));
    },
    refetchInterval: ({ state }) =>
      state.data?.some((one) => one.state === "running") ? SLOW_POLL_MS : SETTINGS_POLL_MS,
  });
}

export function useUpdate(updateId: string | null) {
  const api = useApi();
  return useQuery({
    queryKey: ["updates", updateId],
    queryFn: ({ signal }) =>
      api.get<UpdateDetails>(`/updates/${encodeURIComponent(updateId ?? "")}`, undefined, signal),
    enabled: updateId !== null,
    refetchInterval: ({ state }) => (state.data?.state === "running" ? SLOW_POLL_MS : false),
  });
}

export function useTemplates() {
  const api = useApi();
  return useQuery({
    queryKey: ["templates"],
    queryFn: ({ signal }) => fetchAllPages<Template>(api, "/templates", "templates", signal),
  });
}

export function useTemplate(templateId: string | undefined) {
  const api = useApi();
  return useQuery({
    queryKey: ["template", templateId],
    queryFn: ({ signal }) =>
      api.get<Template>(`/templates/${encodeURIComponent(templateId ?? "")}`, undefined, signal),
    enabled: templateId !== undefined,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  });
}

export function usePolicies() {
  const api = useApi();
  return useQuery({
    queryKey: ["policies"],
    queryFn: ({ signal }) => api.get<Policies>("/policies", undefined, signal),
  });
}

/** A policy as of when the page was opened: refetching must not overwrite the edited text. */
export function usePolicy(policyId: string | undefined) {
  const api = useApi();
  return useQuery({
    queryKey: ["policy", policyId],
    queryFn: ({ signal }) =>
      api.get<PolicyDetails>(`/policies/${encodeURIComponent(policyId ?? "")}`, undefined, signal),
    enabled: policyId !== undefined,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  });
}

export const AUDIT_BY = ["person", "agent", "transfer_id", "text"] as const;
export const AUDIT_DAYS = [1, 7, 30, 365] as const;

/**
 * Filter by person, agent or transfer, of which the API takes one; any other text is searched in the
 * browser.
 */
export interface AuditFilter {
  by: (typeof AUDIT_BY)[number];
  value: string;
  days: number;
}

export function auditQuery({ by, value, days }: AuditFilter, now: number): Query {
  const since = new Date(now - days * 86_400_000).toISOString();
  return by === "text" ? { since, limit: MAX_PAGE_SIZE } : { since, [by]: value || null };
}

export function useAudit(filter: AuditFilter) {
  const api = useApi();
  return useInfiniteQuery({
    queryKey: ["audit", filter.by === "text" ? { ...filter, value: "" } : filter],
    queryFn: ({ signal, pageParam }) =>
      api.get<AuditPage>("/audit", { ...auditQuery(filter, Date.now()), after: pageParam }, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next,
    // A text search reads many pages: do not repeat it when the window gets the focus.
    ...(filter.by === "text" && { staleTime: Number.POSITIVE_INFINITY, refetchOnWindowFocus: false }),
  });
}

export function fetchAllRecords(api: Api, filter: AuditFilter): Promise<AuditRecord[]> {
  return fetchAllPages<AuditRecord>(api, "/audit", "records", undefined, auditQuery(filter, Date.now()));
}

export function useSeals() {
  const api = useApi();
  return useQuery({
    queryKey: ["audit-seals"],
    queryFn: ({ signal }) => api.get<AuditSeals>("/audit/seals", undefined, signal),
  });
}

/** Fetch a whole list page by page. */
export async function fetchAllPages<T>(
  api: Api,
  path: string,
  field: string,
  signal?: AbortSignal,
  filter: Query = {},
  most = Number.POSITIVE_INFINITY,
): Promise<T[]> {
  const found: T[] = [];
  let after: string | null = null;
  do {
    const query: Query = { ...filter, limit: 200, after };
    const page: Record<string, unknown> = await api.get(path, query, signal);
    found.push(...(page[field] as T[]));
    after = (page.next as string | null) ?? null;
  } while (after && found.length < most);
  return found;
}
