import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { ApiProblem, unansweredProblem } from "../../api/problem";
import { useApi } from "../../appContext";
import { bytes } from "../../format/sizes";
import { t } from "../../i18n";
import { type Criteria, DamagedManifestError, findLines, MAX_PACKED_BYTES } from "../../model/manifest";
import type { Manifest, Transfer } from "../../types";

/** Milliseconds until it is asked again for the manifest of a hop that has just ended. */
const SOON_MS = 5_000;
/** Milliseconds after a hop's end in which its manifest is expected; one that never ran has none. */
const EXPECTED_MS = 600_000;
/** Milliseconds that a manifest may take to be downloaded. */
const DOWNLOAD_TIMEOUT_MS = 300_000;

interface Manifests {
  /** The packed manifests, in the order of the hops; undefined until they are loaded. */
  packed: readonly Blob[] | undefined;
  /** Hops without a manifest. */
  missing: readonly string[];
  isPending: boolean;
  error: unknown;
  reload: () => void;
}

/** Load a transfer's manifests, and each again when its hop has written another. */
export function useManifests({ transfer_id, hops }: Transfer): Manifests {
  const api = useApi();
  const ended = new Map(
    hops.flatMap(({ hop_id, ended_at }) => (ended_at ? [[hop_id, Date.parse(ended_at)]] : [])),
  );
  const isExpected = (hop: string) => Date.now() - (ended.get(hop) ?? 0) < EXPECTED_MS;
  const list = useQuery({
    queryKey: ["manifest", transfer_id, ended.size],
    queryFn: ({ signal }) => api.get<Manifest>(`/transfers/${transfer_id}/manifest`, {}, signal),
    refetchInterval: ({ state }) => (state.data?.missing.some(isExpected) ? SOON_MS : false),
  });
  const there = list.data?.hops;
  const files = useQuery({
    queryKey: ["manifest-files", there?.map(({ hop_id, written_at }) => [hop_id, written_at])],
    queryFn: ({ signal }) => loadAll(there ?? [], signal),
    enabled: there !== undefined,
    placeholderData: keepPreviousData,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0, // they may be large
  });
  return {
    packed: files.data,
    missing: list.data?.missing ?? [],
    isPending: list.isPending || files.isPending,
    error: list.error ?? files.error,
    // The addresses are valid for some minutes only.
    reload: () => void list.refetch().then(() => files.refetch()),
  };
}

async function loadAll(hops: Manifest["hops"], signal: AbortSignal): Promise<Blob[]> {
  const size = hops.reduce((sum, hop) => sum + hop.size, 0);
  if (size > MAX_PACKED_BYTES) {
    const { tooLarge, download } = t().files.problems;
    throw new ApiProblem({ title: tooLarge(bytes(size)), advice: download });
  }
  return Promise.all(hops.map(({ url }) => load(url, signal)));
}

async function load(url: string, signal: AbortSignal): Promise<Blob> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(DOWNLOAD_TIMEOUT_MS)]);
  try {
    const response = await fetch(url, { signal: limit, credentials: "omit" });
    if (response.ok) return await response.blob();
    const { notThere, expired } = t().files.problems;
    throw new ApiProblem({ title: notThere, detail: `HTTP ${response.status}`, advice: expired });
  } catch (error) {
    if (error instanceof ApiProblem || signal.aborted) throw error;
    throw unansweredProblem(error, t().files.problems.store);
  }
}

/** Search loaded manifests. */
export function useFoundLines(packed: readonly Blob[] | undefined, criteria: Criteria) {
  return useQuery({
    queryKey: ["manifest-lines", packed?.map(numberOf), criteria],
    queryFn: ({ signal }) => found(packed ?? [], criteria, signal),
    enabled: packed !== undefined,
    placeholderData: keepPreviousData,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
    retry: false,
  });
}

async function found(packed: readonly Blob[], criteria: Criteria, signal: AbortSignal) {
  try {
    return await findLines(packed, criteria, signal);
  } catch (error) {
    if (!(error instanceof DamagedManifestError)) throw error;
    const { damaged, whose } = t().files.problems;
    throw new ApiProblem({ title: damaged, detail: error.message, advice: whose });
  }
}

const numbers = new WeakMap<Blob, number>();
let last = 0;

/** Return a number for each loaded manifest, since a query's key is text. */
function numberOf(packed: Blob): number {
  const known = numbers.get(packed) ?? ++last;
  numbers.set(packed, known);
  return known;
}
