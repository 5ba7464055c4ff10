import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, render, screen, waitFor } from "@testing-library/react";
import { type ReactNode, Suspense } from "react";
import { beforeEach, expect, it, vi } from "vitest";
import { ErrorBoundary } from "../src/components/ErrorBoundary";
import { lazyPage, retryFailedScripts } from "../src/hooks/lazyPage";

beforeEach(() => {
  // React logs every error that a boundary catches.
  vi.spyOn(console, "error").mockImplementation(() => undefined);
});

function shown(place: string, page: ReactNode) {
  return (
    <QueryClientProvider client={new QueryClient()}>
      <ErrorBoundary title="Agents" place={place}>
        <Suspense fallback="…">{page}</Suspense>
      </ErrorBoundary>
    </QueryClientProvider>
  );
}

/** Return a page whose script loads only while `network.there`. */
function agents(network: { there: boolean }) {
  return lazyPage(async () => {
    if (!network.there) throw new TypeError("Failed to fetch dynamically imported module");
    return { default: () => "server-b" };
  });
}

it("shows a script that failed to load, and retries when the network is back", async () => {
  const network = { there: false };
  const Agents = agents(network);
  vi.stubGlobal("fetch", () => Promise.reject(new TypeError()));
  await act(async () => render(shown("agents", <Agents />)));
  expect(await screen.findByText("This page could not be loaded")).toBeTruthy();
  network.there = true;
  window.dispatchEvent(new Event("online"));
  expect(await screen.findByText("server-b")).toBeTruthy();
});

it("fetches the script again when the page is opened again", async () => {
  const network = { there: false };
  const Agents = agents(network);
  const { rerender } = await act(async () => render(shown("agents", <Agents />)));
  await screen.findByText("This page could not be loaded");
  rerender(shown("overview", "Nothing is on its way"));
  expect(screen.getByText("Nothing is on its way")).toBeTruthy();
  network.there = true;
  await act(async () => rerender(shown("agents", <Agents />)));
  expect(await screen.findByText("server-b")).toBeTruthy();
});

it("reloads the document when only the script is missing, as after a deployment", async () => {
  const Audit = agents({ there: false });
  const fetched = vi.fn<typeof fetch>(async () => new Response("<html>"));
  vi.stubGlobal("fetch", fetched);
  await act(async () => render(shown("audit", <Audit />)));
  await screen.findByText("This page could not be loaded");
  const reload = vi.fn();
  await retryFailedScripts(reload);
  expect(reload).toHaveBeenCalledOnce();
  fetched.mockRejectedValue(new TypeError());
  await retryFailedScripts(reload);
  expect(reload, "without a network there would be nothing left to see").toHaveBeenCalledOnce();
});

it("shows a rendering error, and retries", async () => {
  let broken = true;
  function Page() {
    if (broken) throw new RangeError("no such hop");
    return "three hops";
  }
  render(shown("transfers/x", <Page />));
  expect(screen.getByText("no such hop")).toBeTruthy();
  broken = false;
  screen.getByRole("button", { name: "Try again" }).click();
  await waitFor(() => expect(screen.getByText("three hops")).toBeTruthy());
});
