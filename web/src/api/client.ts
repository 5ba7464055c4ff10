/**
 * HTTP client of the API: adds tokens, renews them after a 401, throws typed problems, sends idempotency
 * keys.
 */

import { t } from "../i18n";
import { ApiProblem, problemFrom, unansweredProblem } from "./problem";

export type Query = Record<string, string | number | boolean | null | undefined>;

/** Timeouts of a read and of a write. API Gateway itself gives up after 29 s. */
const READ_TIMEOUT_MS = 15_000;
const MAX_TIMEOUT_MS = 30_000;

interface RequestOptions {
  body?: unknown;
  query?: Query;
  key?: string;
  signal?: AbortSignal;
}

/** What the client needs of a session: a valid token, a new one after a 401, and a way to end it. */
export interface TokenProvider {
  token(): Promise<string>;
  freshToken(): Promise<string>;
  end(reason: "expired"): void;
}

export interface Api {
  get<T>(path: string, query?: Query, signal?: AbortSignal): Promise<T>;
  /** Return the response body unparsed, for signature checks. */
  text(path: string, query?: Query): Promise<string>;
  /** `key` is the Idempotency-Key: pass the same key when the same request is sent again. */
  post<T>(path: string, body: unknown, key: string): Promise<T>;
  put<T>(path: string, body: unknown): Promise<T>;
  patch<T>(path: string, body: unknown): Promise<T>;
  remove(path: string): Promise<void>;
}

/** Create a client. Every call may throw an ApiProblem; a 401 with a fresh token also ends the session. */
export function createApi(apiUrl: string, session: TokenProvider, fetcher: typeof fetch = fetch): Api {
  async function send(method: string, path: string, token: string, sent: RequestOptions): Promise<Response> {
    const headers: Record<string, string> = { Authorization: `Bearer ${token}`, Accept: "application/json" };
    if (sent.body !== undefined) headers["Content-Type"] = "application/json";
    if (sent.key) headers["Idempotency-Key"] = sent.key;
    const body = sent.body === undefined ? undefined : JSON.stringify(sent.body);
    const address = apiUrl + path + queryText(sent.query);
    return fetcher(address, { method, headers, body, signal: sent.signal, credentials: "omit" });
  }

  async function fetchOrThrow(method: string, path: string, sent: RequestOptions): Promise<Response> {
    let response = await send(method, path, await session.token(), sent);
    if (response.status === 401) {
      response = await send(method, path, await session.freshToken(), sent);
    }
    if (response.status === 401) {
      session.end("expired");
    }
    if (!response.ok) {
      throw await problemFrom(response);
    }
    return response;
  }

  /** Send a request and return the response body, within the timeout. */
  async function call(method: string, path: string, sent: RequestOptions = {}): Promise<string> {
    const reads = method === "GET";
    const limit = AbortSignal.timeout(reads ? READ_TIMEOUT_MS : MAX_TIMEOUT_MS);
    const signal = sent.signal ? AbortSignal.any([sent.signal, limit]) : limit;
    try {
      const response = await fetchOrThrow(method, path, { ...sent, signal });
      return await response.text();
    } catch (error) {
      if (error instanceof ApiProblem || sent.signal?.aborted) throw error;
      throw unansweredProblem(error, t().problems.api, reads ? undefined : t().problems.checkThenResend);
    }
  }

  const callJson = async <T>(method: string, path: string, sent?: RequestOptions) =>
    read<T>(await call(method, path, sent));

  return {
    get: (path, query, signal) => callJson("GET", path, { query, signal }),
    text: (path, query) => call("GET", path, { query }),
    post: (path, body, key) => callJson("POST", path, { body, key }),
    put: (path, body) => callJson("PUT", path, { body }),
    patch: (path, body) => callJson("PATCH", path, { body }),
    remove: (path) => callJson("DELETE", path),
  };
}

function read<T>(text: string): T {
  if (!text) {
    return undefined as T;
  }
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new ApiProblem({
      title: t().problems.notJson,
      detail: t().problems.notJsonDetail,
      advice: t().problems.proxy,
    });
  }
}

function queryText(query: Query = {}): string {
  const given = Object.entries(query).filter(
    ([, value]) => value !== null && value !== undefined && value !== "",
  );
  return given.length ? `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}` : "";
}
