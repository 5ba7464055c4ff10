/** What pages ask the API, and how often they ask again. */
import { useQuery } from "@tanstack/react-query";
import { goesOn } from "../actions";
import { useApi } from "../context";
import type { Agent, Template, Transfer, TransferState, TransfersPage } from "../types";
import type { Api, Query } from "./client";

/** While something goes on, and while nothing does. */
const SOON_MS = 3_000;
const LATER_MS = 10_000;
const PAGE = 20;

export interface Filters {
  status: TransferState | null;
  agent: string | null;
}

export function useTransfers({ status, agent }: Filters, after: string | null) {
  const api = useApi();
  return useQuery({
    queryKey: ["transfers", status, agent, after],
    queryFn: ({ signal }) =>
      api.get<TransfersPage>("/transfers", { status, agent, after, limit: PAGE }, signal),
    refetchInterval: ({ state }) =>
      state.data?.transfers.some((one) => goesOn(one.state)) ? SOON_MS : LATER_MS,
  });
}

export function useTransfer(transferId: string) {
  const api = useApi();
  return useQuery({
    queryKey: ["transfer", transferId],
    queryFn: ({ signal }) =>
      api.get<Transfer>(`/transfers/${encodeURIComponent(transferId)}`, undefined, signal),
    refetchInterval: ({ state }) => (!state.data || goesOn(state.data.state) ? SOON_MS : false),
  });
}

export function useAgents(often = false) {
  const api = useApi();
  return useQuery({
    queryKey: ["agents"],
    queryFn: ({ signal }) => everyPage<Agent>(api, "/agents", "agents", signal),
    refetchInterval: often ? SOON_MS : LATER_MS,
  });
}

export function useTemplates() {
  const api = useApi();
  return useQuery({
    queryKey: ["templates"],
    queryFn: ({ signal }) => everyPage<Template>(api, "/templates", "templates", signal),
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

/** A whole list, page by page. */
export async function everyPage<T>(
  api: Api,
  path: string,
  field: string,
  signal?: AbortSignal,
): Promise<T[]> {
  const found: T[] = [];
  let after: string | null = null;
  do {
    const query: Query = { limit: 100, after };
    const page: Record<string, unknown> = await api.get(path, query, signal);
    found.push(...(page[field] as T[]));
    after = (page.next as string | null) ?? null;
  } while (after);
  return found;
}
