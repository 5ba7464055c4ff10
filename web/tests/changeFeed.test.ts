import { QueryClient, QueryClientProvider, QueryObserver } from "@tanstack/react-query";
import { act, renderHook } from "@testing-library/react";
import { createElement, type ReactNode } from "react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Api } from "../src/api/client";
import { ApiProblem } from "../src/api/problem";
import { AppContext } from "../src/appContext";
import { useFleet } from "../src/hooks/queries";
import { batchUpdates } from "../src/live/batchUpdates";
import { hasChangeFeed, markConnected } from "../src/live/connectionState";
import { parseChangeNotice, useChangeFeed } from "../src/live/useChangeFeed";
import { useLive } from "../src/live/useLive";

const broker = vi.hoisted(() => ({ handlers: null as null | Record<string, (payload?: unknown) => void> }));

vi.mock("../src/live/mqtt", () => ({
  open: (_place: unknown, handlers: Record<string, (payload?: unknown) => void>) => {
    broker.handlers = handlers;
    return { end: () => void Promise.resolve().then(() => handlers.onClose?.()) }; // as mqtt.js: a moment later
  },
}));

const queries = new QueryClient();
vi.mock("@tanstack/react-query", async (really) => ({
  ...(await really<typeof import("@tanstack/react-query")>()),
  useQueryClient: () => queries,
}));

const bytes = (text: string) => new TextEncoder().encode(text);
const stale = (key: unknown[]) => queries.getQueryState(key)?.isInvalidated;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("the change feed", () => {
  const KEYS = [
    ["transfer", "one"],
    ["transfer", "two"],
    ["transfers", "running"],
    ["transfers", "overview"],
  ];

  it("refetches the changed transfer and the lists, but not the overview", async () => {
    const api = { get: vi.fn(async () => ({})) } as unknown as Api;
    const { unmount } = renderHook(() => useChangeFeed(api));
    await vi.advanceTimersByTimeAsync(5_000);
    expect(api.get).toHaveBeenCalledWith("/live", { topic: "changes" });
    expect(hasChangeFeed()).toBe(false);
    broker.handlers?.onSubscribed?.();
    expect(hasChangeFeed()).toBe(true);
    markConnected("progress", false);
    expect(hasChangeFeed()).toBe(false);
    markConnected("progress", null);

    for (const key of KEYS) queries.setQueryData(key, {});
    broker.handlers?.onMessage?.(bytes('{"transfer_id": "one"}'));
    await vi.advanceTimersByTimeAsync(1);
    expect(KEYS.map(stale)).toEqual([true, false, true, false]);

    unmount();
    expect(hasChangeFeed()).toBe(false);
  });

  describe("of agents", () => {
    const AGENTS = bytes('{"transfer_id": null}');

    function openList(get: (path: string) => Promise<unknown>) {
      const api = { get: vi.fn(get) } as unknown as Api;
      const wrapper = ({ children }: { children: ReactNode }) =>
        createElement(
          QueryClientProvider,
          { client: queries },
          createElement(AppContext.Provider, { value: { api } as never }, children),
        );
      const page = renderHook(() => [useChangeFeed(api), useFleet({ status: "late" })], { wrapper });
      const asked = () => vi.mocked(api.get).mock.calls.filter(([path]) => path === "/fleet").length;
      return { asked, close: page.unmount };
    }

    it("shows a death within five seconds of its notice, and polls once a minute", async () => {
      const { asked, close } = openList(async () => ({ agents: [] }));
      await vi.advanceTimersByTimeAsync(5_000);
      expect(asked()).toBe(2); // without news a list is polled every five seconds
      act(() => broker.handlers?.onSubscribed?.());
      await vi.advanceTimersByTimeAsync(1);
      const before = asked();
      await vi.advanceTimersByTimeAsync(59_000);
      expect(asked()).toBe(before);
      await vi.advanceTimersByTimeAsync(1_500);
      expect(asked()).toBe(before + 1);

      broker.handlers?.onMessage?.(AGENTS);
      await vi.advanceTimersByTimeAsync(1_000);
      expect(asked()).toBe(before + 1); // changes of this second have no notice of their own
      await vi.advanceTimersByTimeAsync(4_000);
      expect(asked()).toBe(before + 2);
      close();
    });

    it("reads no more often than without news while a fleet of thousands comes back", async () => {
      const { asked, close } = openList(async () => ({ agents: [] }));
      await vi.advanceTimersByTimeAsync(5_000);
      act(() => broker.handlers?.onSubscribed?.());
      await vi.advanceTimersByTimeAsync(1);
      const before = asked();
      for (let second = 0; second < 35; second += 1) {
        for (let copy = 0; copy < 20; copy += 1) broker.handlers?.onMessage?.(AGENTS);
        await vi.advanceTimersByTimeAsync(1_000);
      }
      expect(asked() - before).toBeLessThanOrEqual(10);
      const last = asked();
      await vi.advanceTimersByTimeAsync(5_000);
      expect(asked()).toBeGreaterThan(last); // what changed last is shown, too
      close();
    });

    it("are polled every five seconds again when the connection is lost", async () => {
      const { asked, close } = openList(async () => ({ agents: [] }));
      await vi.advanceTimersByTimeAsync(5_000);
      act(() => broker.handlers?.onSubscribed?.());
      await vi.advanceTimersByTimeAsync(1);
      act(() => broker.handlers?.onClose?.());
      await vi.advanceTimersByTimeAsync(1);
      const before = asked();
      await vi.advanceTimersByTimeAsync(900);
      expect(asked()).toBe(before);
      await vi.advanceTimersByTimeAsync(9_500);
      expect(asked() - before).toBe(2);
      close();
    });
  });

  it("refetches everything when the connection is lost", async () => {
    const api = { get: vi.fn(async () => ({})) } as unknown as Api;
    const { unmount } = renderHook(() => useChangeFeed(api));
    await vi.advanceTimersByTimeAsync(5_000);
    broker.handlers?.onSubscribed?.();
    for (const key of KEYS) queries.setQueryData(key, {});
    broker.handlers?.onClose?.();
    expect(hasChangeFeed()).toBe(false);
    expect(KEYS.map(stale)).toEqual([true, true, true, false]);
    unmount();
  });

  it("stays connected when a page with live progress is closed", async () => {
    const api = { get: vi.fn(async () => ({})), post: vi.fn(async () => null) } as unknown as Api;
    markConnected("changes", true);
    const { unmount } = renderHook(() => useLive(null, ["a"]), {
      wrapper: ({ children }) => createElement(AppContext.Provider, { value: { api } as never }, children),
    });
    await vi.advanceTimersByTimeAsync(1);
    expect(hasChangeFeed()).toBe(false);
    act(() => broker.handlers?.onSubscribed?.());
    expect(hasChangeFeed()).toBe(true);
    unmount();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(hasChangeFeed()).toBe(true);
    markConnected("changes", false);
  });

  it("is not asked for again once the API refuses it", async () => {
    const refused = new ApiProblem({ title: "Not allowed", status: 403 });
    const get = vi.fn(async () => {
      throw refused;
    });
    const { unmount } = renderHook(() => useChangeFeed({ get } as unknown as Api));
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(get).toHaveBeenCalledOnce();
    unmount();
  });

  it("does not refetch what the API refuses", async () => {
    const api = { get: vi.fn(async () => ({})) } as unknown as Api;
    const { unmount } = renderHook(() => useChangeFeed(api));
    await vi.advanceTimersByTimeAsync(5_000);
    broker.handlers?.onSubscribed?.();
    queries.setQueryData(["transfers", "allowed"], {});
    const refused = new ApiProblem({ title: "Not allowed", status: 403 });
    const queryFn = vi.fn(() => Promise.reject(refused));
    const observer = new QueryObserver(queries, {
      queryKey: ["transfers", "refused"],
      queryFn,
      retry: false,
    });
    const leave = observer.subscribe(() => undefined);
    await vi.advanceTimersByTimeAsync(1);
    broker.handlers?.onMessage?.(bytes('{"transfer_id": "one"}'));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(stale(["transfers", "allowed"])).toBe(true);
    expect(queryFn).toHaveBeenCalledOnce();
    leave();
    unmount();
  });

  it("drops invalid messages", () => {
    for (const text of ["{", "null", "{}", '{"transfer_id": 5}'])
      expect(parseChangeNotice(bytes(text))).toBeNull();
  });
});

it("delivers the first item at once, and later ones after the previous delivery", async () => {
  const handed: number[][] = [];
  let dealt = () => {};
  const gathered = batchUpdates<number>(100, (things) => {
    handed.push(things);
    return new Promise<void>((done) => {
      dealt = done;
    });
  });
  gathered.add(1);
  await vi.advanceTimersByTimeAsync(0);
  gathered.add(2);
  gathered.add(3);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(handed).toEqual([[1]]);
  dealt();
  await vi.advanceTimersByTimeAsync(100);
  expect(handed).toEqual([[1], [2, 3]]);
  gathered.stop();
});
