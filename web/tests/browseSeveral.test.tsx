/** Browsing a directory of 5,000 entries, and selecting some of them, as a person does. */
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, fireEvent, render, screen } from "@testing-library/react";
import { expect, it, vi } from "vitest";
import { AppContext, type AppContextValue } from "../src/appContext";
import { DirectoryBrowser } from "../src/components/DirectoryBrowser";
import type { DirectoryEntry } from "../src/types";

/** Entries of a page of this agent: fewer than are asked for, so that the test is cheap. */
const AGENT_PAGE = 40;
const LONG = `take ${"x".repeat(240)}-final.mov`;
const HEBREW = "\u05e9\u05dc\u05d5\u05dd [2].mov";

function entry(name: string, type: DirectoryEntry["type"] = "file"): DirectoryEntry {
  return { name, type, size: type === "file" ? 5 : null, modified: null, utf8: true };
}

/** Open a directory that the agent lists in pages. */
async function open(entries: DirectoryEntry[], include?: string[]) {
  const chosen = vi.fn();
  const asked: number[] = [];
  const place = {
    name: "server-b",
    roots: [{ path: "/data", access: "rw" as const, about: "" }],
    flat: false,
    rootsLabel: "Root",
    noRoots: "",
    list: async (_: unknown, __: string, { after, limit }: { after: string | null; limit: number }) => {
      asked.push(limit);
      const from = Number(after ?? 0);
      const to = from + AGENT_PAGE;
      return { entries: entries.slice(from, to), next: to < entries.length ? `${to}` : null };
    },
  };
  const context = { api: {}, role: "operator", notify: () => undefined } as unknown as AppContextValue;
  await act(async () => {
    render(
      <QueryClientProvider client={new QueryClient()}>
        <AppContext value={context}>
          <DirectoryBrowser
            place={place}
            start=""
            end="source"
            include={include}
            onChoose={chosen}
            onClose={() => undefined}
          />
        </AppContext>
      </QueryClientProvider>,
    );
  });
  return { chosen, asked };
}

async function select(name: string, shift = false) {
  const box = await screen.findByRole("checkbox", { name: `Select ${name}` });
  await act(async () => {
    fireEvent.mouseDown(box, { shiftKey: shift });
    fireEvent.click(box, { shiftKey: shift });
    fireEvent.mouseUp(box, { shiftKey: shift });
  });
}

async function press(name: string | RegExp) {
  const button = await screen.findByRole("button", { name });
  await act(async () => button.click());
}

it("selects several entries of 5,000, whose names need no care of the person", async () => {
  const many = Array.from({ length: 4998 }, (_, number) => entry(`shot ${number}.mov`));
  const { chosen, asked } = await open([entry("raw", "directory"), entry(HEBREW), ...many], []);
  await select(HEBREW);
  await press("Load more (40 so far)");
  await select("shot 50.mov");
  await select("raw");
  await press("Use 3 selected");
  expect(asked).toEqual([200, 500]);
  expect(chosen).toHaveBeenCalledWith("/data/", [
    "/\u05e9\u05dc\u05d5\u05dd \\[2\\].mov",
    "/shot 50.mov",
    "/raw/**",
  ]);
});

it("selects from one entry to another with Shift, and says what it replaces", async () => {
  const many = Array.from({ length: 20 }, (_, number) => entry(`shot ${1000 + number}.mov`));
  const { chosen } = await open(many, ["*.mov"]);
  await select("shot 1010.mov");
  await select("shot 1014.mov", true);
  expect(await screen.findByText(/replaces the include patterns \*\.mov/)).toBeTruthy();
  await select("shot 1012.mov");
  await press("Use 4 selected");
  expect(chosen.mock.lastCall?.[1]).toHaveLength(4);
});

it("takes one entry as the source itself, and reads the whole of a long name", async () => {
  const { chosen } = await open([entry(LONG)], []);
  expect(await screen.findByText(LONG, { selector: ".elided .full" })).toBeTruthy();
  await select(LONG);
  await press(/^Use /);
  expect(chosen).toHaveBeenCalledWith(`/data/${LONG}`, []);
});

it("says that so many long names are too much for one transfer", async () => {
  const long = (number: number) => entry(`${number} ${"x".repeat(240)}.mov`);
  const { chosen } = await open(
    Array.from({ length: 40 }, (_, number) => long(number)),
    [],
  );
  const all = await screen.findByRole("checkbox", { name: "Select all that are listed" });
  await act(async () => all.click());
  expect(await screen.findByText(/at most 100 names and 8,192 characters/)).toBeTruthy();
  await press("Use 40 selected");
  expect(chosen).not.toHaveBeenCalled();
});
