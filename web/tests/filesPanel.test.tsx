/** The files of a transfer as a person looks for one, with a store of this test. */
import { Blob as NodeBlob } from "node:buffer";
import { gzipSync } from "node:zlib";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { beforeEach, expect, it, vi } from "vitest";
import { AppContext, type AppContextValue } from "../src/appContext";
import { setLanguage } from "../src/i18n";
import { FilesPanel } from "../src/pages/transfer/FilesPanel";
import type { Manifest, Problem } from "../src/types";
import { hop, transfer as sample } from "./samples";

beforeEach(() => setLanguage("en"));

function stored(...lines: object[]): Blob {
  const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
  return new NodeBlob([gzipSync(text)]) as unknown as Blob;
}

const UNREADABLE: Problem = {
  code: "outcome-unreadable",
  message: "What the agent had noted about it cannot be read.",
  advice: "Have the disk checked.",
  path: null,
  retryable: false,
  wording: "outcome-unreadable",
  parameters: {},
};

function file(path: string, outcome: string, problem: Problem | null = null) {
  const { hop_id } = hop();
  return {
    hop_id,
    path,
    kind: "f",
    size: 5,
    digest: null,
    outcome,
    problem,
    lost: [],
    at: "2026-11-30T07:00:00Z",
  };
}

/** Open the panel over a store that answers with these bytes, or not at all. */
async function open(content: Blob | null): Promise<void> {
  const ended = { ...hop(), ended_at: new Date().toISOString() };
  const transfer = { ...sample(), hops: [ended] };
  const manifest = { hop_id: ended.hop_id, url: "https://store/0", size: 99, written_at: ended.ended_at };
  const answer: Manifest = {
    transfer_id: transfer.transfer_id,
    hops: [manifest],
    missing: [],
    expires_at: ended.ended_at,
  };
  vi.stubGlobal("fetch", async (url: string) => {
    expect(url).toBe(manifest.url);
    return content ? { ok: true, blob: async () => content } : { ok: false, status: 403 };
  });
  const context = { api: { get: async () => answer }, notify: () => undefined } as unknown as AppContextValue;
  await act(async () => {
    render(
      <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
        <AppContext value={context}>
          <FilesPanel transfer={transfer} />
        </AppContext>
      </QueryClientProvider>,
    );
  });
  expect(screen.queryByText("File")).toBeNull(); // nothing is loaded before somebody asks for it
  fireEvent.click(screen.getByRole("button", { name: /^(Files|Dateien)/ }));
}

/** Return the paths in the table, from top to bottom. */
function paths(): string[] {
  return screen.queryAllByRole("rowheader").map((cell) => cell.textContent ?? "");
}

it("shows the file that did not arrive first, with the reason, and finds another by its name", async () => {
  const many = Array.from({ length: 30 }, (_, number) => file(`raw/take${number}.mov`, "sent"));
  await open(stored(...many, file("raw/late.mov", "failed", UNREADABLE)));
  await waitFor(() => expect(paths()[0]).toBe("raw/late.mov"));
  expect(paths()).toHaveLength(20);
  screen.getByText(/^What the agent had noted/);
  fireEvent.change(screen.getByPlaceholderText("Find files by path"), { target: { value: "TAKE29" } });
  await waitFor(() => expect(paths()).toEqual(["raw/take29.mov"]));
  expect(screen.getAllByText("1 match")).not.toHaveLength(0); // shown, and announced
});

it("says in German alone why a file did not arrive", async () => {
  await setLanguage("de");
  await open(stored(file("raw/late.mov", "failed", UNREADABLE)));
  await waitFor(() => expect(paths()).toEqual(["raw/late.mov"]));
  screen.getByText(/^Was der Agent darüber festgehalten hatte/);
  expect(document.querySelector("[lang=en]")).toBeNull();
});

it("says that a manifest is damaged", async () => {
  await open(stored({ path: 7 }));
  await screen.findByText("The manifest is damaged");
  screen.getByText("a line is not about a file");
});

it("says that the store does not give the manifest", async () => {
  await open(null);
  await screen.findByText("The manifest cannot be read");
  screen.getByText("HTTP 403");
});
