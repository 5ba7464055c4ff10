/** One signed-in conversation with the API: the token kept fresh, problems typed, nothing sent twice. */
import type { Session } from "../session/session";
import { t } from "../words";
import { ApiProblem, problemOf, unreachable } from "./problem";

export type Query = Record<string, string | number | boolean | null | undefined>;

interface Sent {
  body?: unknown;
  query?: Query;
  key?: string;
  signal?: AbortSignal;
}

export interface Api {
  get<T>(path: string, query?: Query, signal?: AbortSignal): Promise<T>;
  /** The answer to the letter, for what is signed. */
  text(path: string, query?: Query): Promise<string>;
  /** `key` is the Idempotency-Key: pass the same one again when the same wish is sent again. */
  post<T>(path: string, body: unknown, key: string): Promise<T>;
  put<T>(path: string, body: unknown): Promise<T>;
  patch<T>(path: string, body: unknown): Promise<T>;
  remove(path: string): Promise<void>;
}

/** Every call throws an ApiProblem; a 401 that a fresh token does not cure also ends the session. */
export function createApi(apiUrl: string, session: Session, fetcher: typeof fetch = fetch): Api {
  async function send(method: string, path: string, token: string, sent: Sent): Promise<Response> {
    const headers: Record<string, string> = { Authorization: `Bearer ${token}`, Accept: "application/json" };
    if (sent.body !== undefined) headers["Content-Type"] = "application/json";
    if (sent.key) headers["Idempotency-Key"] = sent.key;
    const body = sent.body === undefined ? undefined : JSON.stringify(sent.body);
    const address = apiUrl + path + queryText(sent.query);
    const init: RequestInit = { method, headers, body, signal: sent.signal, credentials: "omit" };
    return fetcher(address, init).catch((error: unknown) => {
      throw sent.signal?.aborted ? error : unreachable(t().problems.api);
    });
  }

  async function answered(method: string, path: string, sent: Sent): Promise<Response> {
    let response = await send(method, path, await session.token(), sent);
    if (response.status === 401) {
      response = await send(method, path, await session.freshToken(), sent);
    }
    if (response.status === 401) {
      session.end("expired");
    }
    if (!response.ok) {
      throw await problemOf(response);
    }
    return response;
  }

  async function call<T>(method: string, path: string, sent: Sent = {}): Promise<T> {
    return read<T>(await answered(method, path, sent));
  }

  return {
    get: (path, query, signal) => call("GET", path, { query, signal }),
    text: async (path, query) => (await answered("GET", path, { query })).text(),
    post: (path, body, key) => call("POST", path, { body, key }),
    put: (path, body) => call("PUT", path, { body }),
    patch: (path, body) => call("PATCH", path, { body }),
    remove: (path) => call("DELETE", path),
  };
}

async function read<T>(response: Response): Promise<T> {
  const text = await response.text();
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
