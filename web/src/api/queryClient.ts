/**
 * The query client: failed reads are retried automatically, as `problems.retriesAutomatically` tells people,
 * and refused ones are not polled.
 */
import {
  type DefaultedQueryObserverOptions,
  type Query,
  QueryCache,
  QueryClient,
  type QueryKey,
  type QueryObserverOptions,
} from "@tanstack/react-query";
import { asProblem } from "./problem";

const RETRY_DELAY_MS = 3_000;
const MAX_ATTEMPTS = 2;

/** Return whether the API refused a query: asking again changes nothing, and each time is counted. */
export function isRefused(query: { state: { error: unknown } }): boolean {
  return query.state.error !== null && asProblem(query.state.error).status === 403;
}

/** Ends the polling of every query that was refused; a person may still reload it. */
class PollingClient extends QueryClient {
  // biome-ignore lint/suspicious/noExplicitAny: the types of any query pass through, as in QueryClient.
  override defaultQueryOptions(given: any): any {
    const options: QueryObserverOptions & { _defaulted?: boolean } = given;
    const { refetchInterval, _defaulted } = options;
    const defaulted: DefaultedQueryObserverOptions = super.defaultQueryOptions(options);
    if (_defaulted || !refetchInterval) return defaulted;
    return {
      ...defaulted,
      refetchInterval: (query: Query) => {
        if (isRefused(query)) return false;
        return typeof refetchInterval === "function" ? refetchInterval(query) : refetchInterval;
      },
    };
  }
}

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
  const client: QueryClient = new PollingClient({
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
