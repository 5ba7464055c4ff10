import { describe, expect, it, vi } from "vitest";
import { createApi } from "../src/api/client";
import { createIdempotentRequest } from "../src/api/idempotency";
import { ApiProblem, asProblem, errorAt } from "../src/api/problem";
import { fetchAllPages } from "../src/hooks/queries";
import type { Session } from "../src/session/session";
import { problemDetails } from "./samples";

const URL = "https://api.example.org/v1";

function fakeSession(): Session & { ended: string[] } {
  const ended: string[] = [];
  return {
    ended,
    snapshot: () => ({ claims: null, ending: null }),
    subscribe: () => () => undefined,
    begin: () => undefined,
    token: async () => "first",
    freshToken: async () => "second",
    end: (why) => ended.push(why),
  };
}

function answering(...answers: (Response | Error)[]) {
  return vi.fn<typeof fetch>(async () => {
    const next = answers.shift();
    if (next instanceof Response) return next;
    throw next;
  });
}

const json = (status: number, body: unknown) => new Response(JSON.stringify(body), { status });

async function thrown(call: Promise<unknown>): Promise<ApiProblem> {
  const error = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ApiProblem);
  return error as ApiProblem;
}

describe("a request", () => {
  it("sends token, query and body, but no cookies", async () => {
    const fetcher = answering(json(200, { ok: true }));
    const api = createApi(URL, fakeSession(), fetcher);
    expect(await api.get("/transfers", { status: "running", agent: null, after: "" })).toEqual({ ok: true });
    const [address, init] = fetcher.mock.calls[0] ?? [];
    expect(address).toBe(`${URL}/transfers?status=running`);
    expect(init).toMatchObject({
      method: "GET",
      credentials: "omit",
      headers: { Authorization: "Bearer first" },
    });
  });

  it("is retried once with a fresh token after a 401", async () => {
    const fetcher = answering(json(401, {}), json(202, { id: 1 }));
    const session = fakeSession();
    const api = createApi(URL, session, fetcher);
    expect(await api.post("/transfers", {}, "key-1")).toEqual({ id: 1 });
    const keys = fetcher.mock.calls.map(([, init]) => new Headers(init?.headers).get("Idempotency-Key"));
    expect(keys).toEqual(["key-1", "key-1"]);
    expect(session.ended).toEqual([]);
  });

  it("ends the session after a 401 with the fresh token", async () => {
    const session = fakeSession();
    const api = createApi(URL, session, answering(json(401, {}), json(401, problemDetails())));
    expect((await thrown(api.get("/agents"))).status).toBe(401);
    expect(session.ended).toEqual(["expired"]);
  });

  it("accepts an empty response", async () => {
    const api = createApi(URL, fakeSession(), answering(new Response(null, { status: 204 })));
    await expect(api.remove("/agents/server-b")).resolves.toBeUndefined();
  });
});

describe("an error", () => {
  it("contains the API's problem details", async () => {
    const api = createApi(URL, fakeSession(), answering(json(404, problemDetails())));
    const problem = await thrown(api.get("/agents/server-x"));
    expect(problem).toMatchObject({
      status: 404,
      code: "agent-unknown",
      detail: "no agent is called server-x",
      advice: "See `crosshaul agents` for those that are known.",
    });
    expect(errorAt(problem, "destinations.0")).toBe("no such agent");
    expect(errorAt(problem, "destinations.01")).toBe("");
    expect(problem.transient).toBe(false);
  });

  it("is made from the status if there are no problem details", async () => {
    const api = createApi(URL, fakeSession(), answering(new Response("<html>", { status: 502 })));
    expect(await thrown(api.get("/agents"))).toMatchObject({ status: 502, transient: true });
  });

  it("names a network failure", async () => {
    const api = createApi(URL, fakeSession(), answering(new TypeError("failed to fetch")));
    const problem = await thrown(api.get("/agents"));
    expect(problem).toMatchObject({ status: 0, transient: true, title: "The API cannot be reached" });
  });

  it("names a timeout, before the headers or within the body", async () => {
    const late = AbortSignal.abort(new DOMException("", "TimeoutError"));
    const limit = vi.spyOn(AbortSignal, "timeout").mockReturnValue(late);
    const hanging: typeof fetch = async (_, init) => Promise.reject(init?.signal?.reason);
    const halfway: typeof fetch = async (_, init) =>
      new Response(new ReadableStream({ start: (body) => body.error(init?.signal?.reason) }));
    for (const fetcher of [hanging, halfway]) {
      const problem = await thrown(createApi(URL, fakeSession(), fetcher).get("/agents"));
      expect(problem).toMatchObject({ title: "The API does not respond", transient: true, timedOut: true });
    }
    const moving = await thrown(createApi(URL, fakeSession(), hanging).post("/transfers", {}, "key"));
    expect(moving.advice, "nobody sends it again by itself").toMatch("send it again");
    const limits = limit.mock.calls.map(([ms]) => ms / 1000);
    expect(Math.max(...limits)).toBeLessThanOrEqual(30);
  });

  it("is not made when the page aborts the request", async () => {
    const gone = AbortSignal.abort();
    const fetcher: typeof fetch = async (_, init) => Promise.reject(init?.signal?.reason);
    const asked = createApi(URL, fakeSession(), fetcher).get("/agents", {}, gone);
    await expect(asked).rejects.toMatchObject({ name: "AbortError" });
  });

  it("names a response that is not JSON", async () => {
    const api = createApi(URL, fakeSession(), answering(new Response("<html>", { status: 200 })));
    expect((await thrown(api.get("/agents"))).title).toBe("The API's response is not JSON");
  });

  it("is made from an exception of the page", () => {
    expect(asProblem(new RangeError("oh"))).toMatchObject({ detail: "oh" });
  });
});

describe("an idempotent request", () => {
  it("keeps its key until it has succeeded", () => {
    const wish = createIdempotentRequest();
    const key = wish.keyFor({ source: "a:/x" });
    expect(key).toMatch(/^[0-9a-f]{32}$/);
    expect(wish.keyFor({ source: "a:/x" })).toBe(key);
    wish.completed();
    expect(wish.keyFor({ source: "a:/x" })).not.toBe(key);
  });

  it("has a new key when it changes", () => {
    const wish = createIdempotentRequest();
    expect(wish.keyFor({ source: "a:/x" })).not.toBe(wish.keyFor({ source: "a:/y" }));
  });
});

it("fetches all pages of a list", async () => {
  const fetcher = answering(json(200, { agents: [1, 2], next: "n" }), json(200, { agents: [3], next: null }));
  const api = createApi(URL, fakeSession(), fetcher);
  expect(await fetchAllPages(api, "/agents", "agents")).toEqual([1, 2, 3]);
  expect(fetcher.mock.calls.map(([address]) => address)).toEqual([
    `${URL}/agents?limit=200`,
    `${URL}/agents?limit=200&after=n`,
  ]);
});
