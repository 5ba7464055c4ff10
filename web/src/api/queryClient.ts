/**
 * The query client: failed reads are retried automatically, as `problems.retriesAutomatically` tells people.
 */
import { type Query, QueryCache, QueryClient, type QueryKey } from "@tanstack/react-query";
import { asProblem } from "./problem";

const RETRY_DELAY_MS = 3_000;
const MAX_ATTEMPTS = 2;

/**
 * Create the query client. After a transient error a query is retried soon, whatever its polling interval
 * is.
 */
export function createQueryClient(): QueryClient {
  const errors = new WeakMap<object, Error>();
  function scheduleRetry(error: Error, query: { queryKey: QueryKey }): void {
    errors.set(query, error);
    if (!asProblem(error).transient) return;
    const { queryKey } = query;
    setTimeout(() => {
      const failed = (query: Query) => query.state.status === "error";
      const only = { queryKey, exact: true, type: "active", predicate: failed } as const;
      void client.refetchQueries(only, { cancelRefetch: false });
    }, RETRY_DELAY_MS);
  }
  const client: QueryClient = new QueryClient({
    queryCache: new QueryCache({ onError: scheduleRetry }),
    defaultOptions: {
      queries: {
        staleTime: 1_000,
        retry: (failures, error) =>
          failures < MAX_ATTEMPTS && asProblem(error).transient && !asProblem(error).timedOut,
        networkMode: "always",
      },
      mutations: { retry: false, networkMode: "always" },
    },
  });
  client.getQueryCache().subscribe((event) => {
    if (event.type !== "updated" || event.action.type !== "fetch") return;
    const error = errors.get(event.query);
    // Keep showing the last error until a retry succeeds, instead of a loading state.
    if (error && event.query.state.status === "pending") event.query.setState({ status: "error", error });
  });
  return client;
}
