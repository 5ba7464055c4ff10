/** The log of an agent as an administrator reads it, from an API of this test. */
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { beforeEach, expect, it } from "vitest";
import { AppContext, type AppContextValue } from "../src/appContext";
import { setLanguage } from "../src/i18n";
import { AgentLog } from "../src/pages/agent/AgentLog";
import { agentLog } from "./samples";

beforeEach(() => setLanguage("en"));

async function open(answers: (() => unknown)[]): Promise<unknown[][]> {
  const asked: unknown[][] = [];
  const post = async (...sent: unknown[]) => {
    asked.push(sent);
    return answers[asked.length - 1]?.();
  };
  const context = { api: { post }, notify: () => undefined } as unknown as AppContextValue;
  await act(async () => {
    render(
      <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
        <AppContext value={context}>
          <AgentLog agentId="server-b" onClose={() => undefined} />
        </AppContext>
      </QueryClientProvider>,
    );
  });
  return asked;
}

it("is read once, and again only on request: each reading is in the audit", async () => {
  const later = { ...agentLog(), lines: ['time=… msg="hop succeeded"'] };
  const asked = await open([agentLog, () => later]);
  await screen.findByText(/msg="hop started"/);
  expect(asked.map(([path, body]) => [path, body])).toEqual([["/agents/server-b/log", { lines: 500 }]]);
  fireEvent.click(screen.getByText("Read again"));
  await screen.findByText(/msg="hop succeeded"/);
  await waitFor(() => expect(screen.queryByText(/msg="hop started"/)).toBeNull());
  expect(asked).toHaveLength(2);
});

it("shows characters that could turn a line around", async () => {
  await open([() => ({ ...agentLog(), lines: ["path=a\u202Egpj.exe"] })]);
  await screen.findByText("path=a\\u202Egpj.exe");
});

it("says that the agent has logged nothing", async () => {
  await open([() => ({ ...agentLog(), lines: [], remembered_since: null })]);
  await screen.findByText("The agent has logged nothing since its start.");
});
