/** Agents are looked for at the server: a field shows the first ones, and knows any other by its name. */
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { useState } from "react";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Query } from "../src/api/client";
import { AppContext, type AppContextValue } from "../src/appContext";
import { LocationField } from "../src/components/LocationField";
import { type Draft, draftText, EMPTY } from "../src/model/locations";
import { agentSummary, fleet } from "./samples";

let asked: Query[] = [];

const FAR = { ...agentSummary(), agent_id: "render-09999", status: "offline" };

const api = {
  get: async (_: string, query: Query = {}) => {
    asked.push(query);
    if (query.names) return { ...fleet(), agents: String(query.names).includes(FAR.agent_id) ? [FAR] : [] };
    return query.search === "render-0999" ? { ...fleet(), agents: [FAR], next: null } : fleet();
  },
};

function Field({ start }: { start: Draft }) {
  const [value, setValue] = useState(start);
  return (
    <>
      <LocationField label="Source" end="source" value={value} onChange={setValue} />
      <output>{draftText(value)}</output>
    </>
  );
}

async function open(start: Draft): Promise<void> {
  const context = { api, role: "operator", notify: () => undefined } as unknown as AppContextValue;
  await act(async () => {
    render(
      <QueryClientProvider client={new QueryClient()}>
        <AppContext value={context}>
          <Field start={start} />
        </AppContext>
      </QueryClientProvider>,
    );
  });
}

async function type(text: string): Promise<void> {
  await act(async () => {
    fireEvent.change(screen.getByLabelText("Source: path"), { target: { value: text } });
  });
}

beforeEach(() => {
  asked = [];
});
afterEach(cleanup);

it("takes the place of a pasted path from an agent that it does not show", async () => {
  await open({ place: "server-b", path: "" });
  await type("render-09999:/data/raw/");
  expect(await screen.findByText("render-09999:/data/raw/", { selector: "output" })).toBeTruthy();
  expect(screen.getByLabelText("Source: path")).toHaveProperty("value", "/data/raw/");
});

it("leaves a path alone that only looks like it", async () => {
  await open({ place: "server-b", path: "" });
  await type("archive:/films/");
  await type("render-09999:films");
  expect(await screen.findByText("server-b:render-09999:films", { selector: "output" })).toBeTruthy();
});

it("knows an agent that is not among the first ones, and asks for no whole agent", async () => {
  await open({ ...EMPTY, place: "render-09999" });
  const browse = screen.getByRole("button", { name: "Browse for the source" });
  await waitFor(() => expect(browse).toHaveProperty("disabled", false));
  expect(asked).toHaveLength(2);
});
