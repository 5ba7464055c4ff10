/** The page of agents and the overview ask the API for what they show, and for no more. */
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Query } from "../src/api/client";
import { AppContext, type AppContextValue } from "../src/appContext";
import AgentsPage from "../src/pages/agents/AgentsPage";
import OverviewPage from "../src/pages/overview/OverviewPage";
import { useRoute } from "../src/router";
import type { AgentSummary, Fleet } from "../src/types";
import { agentSummary, fleet } from "./samples";

const NONE_ENDED = { transfers: 0, succeeded: 0, failed: 0, bytes_arrived: 0, files_arrived: 0 };

/** Questions about agents, in the order of their arrival. */
let asked: Query[] = [];

function named(agent_id: string, changes: Partial<AgentSummary> = {}): AgentSummary {
  return { ...agentSummary(), agent_id, ...changes };
}

/** Answer like an API with 10,000 agents. */
function answer({ after, search, attention, status }: Query): Fleet {
  if (attention || status === "offline") {
    const away = named("render-7", { status: "offline", last_heartbeat: null });
    return { ...fleet(), agents: [away], next: null };
  }
  if (search) return { ...fleet(), agents: [named(`${search}1`)], next: null };
  const agents = after ? [named("server-y")] : [named("server-b"), named("server-x")];
  return { ...fleet(), agents, next: after ? null : "server-x" };
}

const api = {
  get: async (path: string, query: Query = {}) => {
    if (path.startsWith("/agents")) throw new Error(`asks for whole agents: ${path}`);
    if (path === "/updates") return { updates: [], next: null };
    if (path === "/transfers") return { transfers: [], next: null };
    if (path === "/attention") return { groups: [], queued: 0 };
    if (path === "/overview") return { today: NONE_ENDED, month: NONE_ENDED };
    asked.push(query);
    return answer(query);
  },
};

function Agents() {
  return <AgentsPage query={useRoute().query} />;
}

async function open(page: React.ReactNode, address: string): Promise<void> {
  window.location.hash = address;
  const context = { api, role: "viewer", notify: () => undefined } as unknown as AppContextValue;
  await act(async () => {
    render(
      <QueryClientProvider client={new QueryClient()}>
        <AppContext value={context}>{page}</AppContext>
      </QueryClientProvider>,
    );
  });
}

beforeEach(() => {
  asked = [];
});
afterEach(cleanup);

it("shows one page of agents and counts all, by one request", async () => {
  await open(<Agents />, "#/agents");
  expect(await screen.findByText("server-b")).toBeTruthy();
  expect(screen.getByText("(9,998 of 10,000 online)")).toBeTruthy();
  expect(screen.getAllByText("/primary: only 4 % free")).toHaveLength(2);
  expect(asked).toHaveLength(1);
  const [next] = await screen.findAllByRole("button", { name: "2" });
  await act(async () => next?.click());
  expect(await screen.findByText("server-y")).toBeTruthy();
  expect(screen.queryByText("server-b")).toBeNull();
  expect(asked.at(-1)).toMatchObject({ after: "server-x" });
});

it("looks for names and states at the server, and begins with the first page", async () => {
  await open(<Agents />, "#/agents?status=offline&tag=site%3Dberlin");
  expect(await screen.findByText("render-7")).toBeTruthy();
  expect(asked).toMatchObject([{ status: "offline", tag: "site=berlin", after: null }]);
  await act(async () => {
    window.location.hash = "#/agents";
    window.dispatchEvent(new HashChangeEvent("hashchange"));
  });
  fireEvent.change(await screen.findByLabelText("Find by the beginning of the name"), {
    target: { value: "Web-" },
  });
  expect(await screen.findByText("web-1")).toBeTruthy();
  expect(asked.at(-1)).toMatchObject({ search: "web-", status: null, tag: null, after: null });
});

it("counts all agents on the overview, and names the first of those that need attention", async () => {
  await open(<OverviewPage />, "#/overview");
  expect((await screen.findAllByText("9,998")).length).toBeGreaterThan(0);
  expect(screen.getByText("render-7 is offline")).toBeTruthy();
  expect(screen.getByText("Show all 3 agents that need attention")).toBeTruthy();
  expect(screen.getByText(/^1 of 10,000 agents are shown/)).toBeTruthy();
  expect(asked).toMatchObject([{ attention: true, limit: 16 }]);
});
