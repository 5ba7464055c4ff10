/** What pages show is asked for again by itself until it is answered: `problems.tryAgainByItself` says so. */
import { type Query, QueryCache, QueryClient, type QueryKey } from "@tanstack/react-query";
import { asProblem } from "./problem";

const RETRY_DELAY_MS = 3_000;
const MAX_ATTEMPTS = 2;

/** Where every answer is kept. However often a page asks while all is well: after a passing error it asks soon. */
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
    // The last error stands until there is an answer: who asks again has not just begun to.
    if (error && event.query.state.status === "pending") event.query.setState({ status: "error", error });
  });
  return client;
}
