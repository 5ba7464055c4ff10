/** The list of transfers as a person uses it, with an API of this test. */
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, fireEvent, render, screen, within } from "@testing-library/react";
import { beforeEach, expect, it, vi } from "vitest";
import type { Query } from "../src/api/client";
import { AppContext, type AppContextValue } from "../src/appContext";
import TransfersPage from "../src/pages/transfers/TransfersPage";
import { useRoute } from "../src/router";
import type { TransferSummary } from "../src/types";
import { fleet, transfer } from "./samples";

function one(number: number, changes: Partial<TransferSummary>): TransferSummary {
  const { source } = transfer();
  const path = `/data/take${number}/`;
  const named = source.kind === "agent" ? { ...source, path } : source;
  return { ...transfer(), transfer_id: `${number}`.padStart(20, "0"), source: named, ...changes };
}

const FAILED = one(1, { state: "failed" });
const ENDED = one(2, { state: "succeeded", selection_first: "ep1.mov", selection_count: 2 });
const PARTLY = one(3, { state: "partially_failed" });

/** Queries for lists, and paths of actions, in the order of their arrival. */
let asked: Query[] = [];
let posted: string[] = [];

const api = {
  get: async (path: string, query: Query = {}) => {
    if (path === "/transfers/count") return { count: 1000, complete: false };
    if (path === "/fleet") return { ...fleet(), agents: [], next: null };
    if (path === "/templates") return { templates: [], next: null };
    asked.push(query);
    const first = { transfers: [FAILED, ENDED, PARTLY], next: "there" };
    return query.after ? { transfers: [one(4, { state: "failed" })], next: null } : first;
  },
  post: async (path: string) => {
    posted.push(path);
    if (path.includes(PARTLY.transfer_id)) throw new Error("the vault is closed");
    return {};
  },
};

function Page() {
  return <TransfersPage query={useRoute().query} />;
}

async function open(address: string): Promise<void> {
  window.location.hash = address;
  const context = { api, role: "operator", notify: () => undefined } as unknown as AppContextValue;
  await act(async () => {
    render(
      <QueryClientProvider client={new QueryClient()}>
        <AppContext value={context}>
          <Page />
        </AppContext>
      </QueryClientProvider>,
    );
  });
  await screen.findByText("ep1.mov");
}

async function press(name: string | RegExp, inside = screen as Pick<typeof screen, "findByRole">) {
  const button = await inside.findByRole("button", { name });
  await act(async () => button.click());
}

beforeEach(() => {
  asked = [];
  posted = [];
  localStorage.clear();
  vi.spyOn(console, "error").mockImplementation(() => undefined);
});

it("asks for what the address says, tells how many there are, and which object a template took", async () => {
  await open("#/transfers?search=take&status=failed&days=7&sort=oldest");
  expect(asked[0]).toMatchObject({
    search: "take",
    status: "failed",
    sort: "oldest",
    after: null,
    limit: 20,
  });
  expect(asked[0]?.since).toBeTruthy();
  expect(screen.getByText("(1,000+)")).toBeTruthy();
  expect(screen.getByText("ep1.mov").parentElement?.textContent).toBe("ep1.mov and 1 more");
  expect(screen.getByText("/data/take1/")).toBeTruthy();
});

it("keeps the page in the address", async () => {
  await open("#/transfers?agent=server-b");
  await press("2");
  await screen.findByText("/data/take4/");
  expect(window.location.hash).toBe("#/transfers?agent=server-b&page=2&after=there");
  await press("1");
  await screen.findByText("/data/take1/");
  expect(window.location.hash).toBe("#/transfers?agent=server-b");
});

it("finds what is typed, with Enter", async () => {
  await open("#/transfers");
  const field = screen.getByRole("searchbox", { name: "Search transfers" });
  await act(async () => {
    fireEvent.input(field, { target: { value: " ep1 " } });
  });
  expect(asked.some(({ search }) => search)).toBe(false);
  await act(async () => {
    fireEvent.keyDown(screen.getByRole("searchbox"), { key: "Enter", keyCode: 13 });
  });
  expect(window.location.hash).toBe("#/transfers?search=ep1");
});

it("says what an action on many does with which of them, and who was refused", async () => {
  await open("#/transfers");
  await act(async () => screen.getByRole("checkbox", { name: /Select all/ }).click());
  await press("Actions");
  const items = await screen.findAllByRole("menuitem");
  expect(items.map((item) => item.textContent?.split("None")[0])).toContain("Retry");
  await act(async () => items.find((item) => item.textContent === "Retry")?.click());
  const dialog = await screen.findByRole("dialog");
  expect(dialog.textContent).toContain("Retry 2 transfers?");
  expect(dialog.textContent).toContain("1 selected transfer stays as it is");
  expect(posted).toEqual([]);
  expect(within(dialog).getByRole("button", { name: "Cancel" })).toBeTruthy(); // nothing to "keep" here
  await press("Retry", within(dialog));
  expect(await within(dialog).findByText("1 of 2 done")).toBeTruthy();
  expect(posted).toEqual([FAILED, PARTLY].map((each) => `/transfers/${each.transfer_id}/retry`));
  expect(dialog.textContent).toContain("/data/take3/");
});
