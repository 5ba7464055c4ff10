import { render } from "@testing-library/react";
import { expect, it } from "vitest";
import { HopProblem } from "../src/components/ProblemAlert";
import { LocationName, Name } from "../src/components/text";
import type { Problem } from "../src/types";

/** Return the parts of a text between which a line may break. */
function parts(text: Element): string[] {
  return text.innerHTML.replace(/<(?!wbr)[^>]*>/g, "").split(/<wbr>/);
}

it("breaks long names after slashes and before @, and keeps their text", () => {
  const { container } = render(<Name>{"server-b:/data/day//big/ → olga@example.org"}</Name>);
  expect(parts(container)).toEqual(["server-b:/", "data/", "day//", "big/", " → olga", "@example.org"]);
  expect(container.textContent).toBe("server-b:/data/day//big/ → olga@example.org");
});

it("breaks a location nowhere in the agent's name", () => {
  const at = { kind: "agent" as const, agent_id: "server-b", path: "/data/x" };
  const { container } = render(<LocationName at={at} />);
  expect(parts(container)).toEqual(["server-b:/", "data/", "x"]);
});

it("names the path of a problem once", () => {
  const problem = (message: string): Problem => ({
    code: "in-the-way",
    message,
    advice: "",
    path: "/archive/two.bin",
    retryable: false,
    wording: "",
    parameters: {},
  });
  for (const message of ["/archive/two.bin is a directory.", "A directory is in the way."]) {
    const { container, unmount } = render(<HopProblem problem={problem(message)} />);
    expect(container.textContent?.split("/archive/two.bin")).toHaveLength(2);
    unmount();
  }
});
