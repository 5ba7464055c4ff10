import { QueryObserver } from "@tanstack/react-query";
import { expect, it, vi } from "vitest";
import { ApiProblem } from "../src/api/problem";
import { createQueryClient } from "../src/api/queryClient";

const away = () => new ApiProblem({ title: "The API cannot be reached" });
const forbidden = () => new ApiProblem({ title: "Not allowed", status: 403 });

/** Observe a query that is answered by `answer`. */
function observeQuery(answer: () => unknown) {
  vi.useFakeTimers();
  const asked = vi.fn(async () => answer());
  const observer = new QueryObserver(createQueryClient(), { queryKey: ["policies"], queryFn: asked });
  return { asked, observer, leave: observer.subscribe(() => undefined) };
}

it("retries a query until it succeeds", async () => {
  let there = false;
  const { asked, observer } = observeQuery(() => {
    if (!there) throw away();
    return "three policies";
  });
  await vi.advanceTimersByTimeAsync(20_000);
  for (let second = 0; second < 20; second += 1) {
    await vi.advanceTimersByTimeAsync(1_000);
    expect(observer.getCurrentResult().isError, "no flicker").toBe(true);
  }
  there = true;
  await vi.advanceTimersByTimeAsync(10_000);
  expect(observer.getCurrentResult().data).toBe("three policies");
  asked.mockClear();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).not.toHaveBeenCalled();
});

it("does not retry a refused query", async () => {
  const { asked } = observeQuery(() => {
    throw forbidden();
  });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toHaveBeenCalledOnce();
});

it.each([
  ["an interval", 3_000],
  ["a rule", () => 3_000],
])("ends polling by %s once the API refuses", async (_, refetchInterval) => {
  vi.useFakeTimers();
  let allowed = true;
  const asked = vi.fn(async () => {
    if (!allowed) throw forbidden();
    return "agents";
  });
  const options = { queryKey: ["agents"], queryFn: asked, refetchInterval };
  const observer = new QueryObserver(createQueryClient(), options);
  observer.subscribe(() => undefined);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(asked.mock.calls.length).toBeGreaterThan(2);
  allowed = false;
  await vi.advanceTimersByTimeAsync(3_000);
  asked.mockClear();
  await vi.advanceTimersByTimeAsync(3_600_000);
  expect(asked).not.toHaveBeenCalled();
  allowed = true;
  await observer.refetch();
  await vi.advanceTimersByTimeAsync(3_000);
  expect(asked, "a reload that is allowed goes on").toHaveBeenCalledTimes(2);
});

it("does not retry a query that no page uses", async () => {
  const { asked, leave } = observeQuery(() => {
    throw away();
  });
  await vi.advanceTimersByTimeAsync(10_000);
  leave();
  await vi.advanceTimersByTimeAsync(5_000);
  asked.mockClear();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).not.toHaveBeenCalled();
});
