import { fireEvent, render, screen } from "@testing-library/react";
import { useState } from "react";
import { expect, it } from "vitest";
import { OptionsFields } from "../src/components/OptionsFields";
import { Amount } from "../src/components/options/fields";
import { DEFAULT_OPTIONS, SPEED } from "../src/model/options";

const seen: (number | null)[] = [];

function Limit() {
  const [value, setValue] = useState<number | null>(null);
  function change(next: number | null): void {
    seen.push(next);
    setValue(next);
  }
  return (
    <Amount
      label="Limit"
      constraint=""
      invalidText="A number"
      measure={SPEED}
      value={value}
      onChange={change}
    />
  );
}

it("keeps the typed text, and shows an error for an invalid amount", () => {
  render(<Limit />);
  const field = screen.getByLabelText<HTMLInputElement>("Limit");
  for (const text of ["1", "1.", "1.0", "1.05", "-3", "0", ""]) {
    fireEvent.change(field, { target: { value: text } });
    expect(field.value).toBe(text);
    expect(screen.queryByText("A number") !== null).toBe(text === "-3" || text === "0");
  }
  expect(seen).toEqual([1_048_576, 1_048_576, 1_048_576, 1_101_005, 0, 0, null]);
});

it("says of each group of options what differs from the defaults", () => {
  const ends = { fromS3: false, toS3: false, toBucket: false, destinations: 1, fromTemplate: false };
  const value = { ...DEFAULT_OPTIONS, streams: 3, exclude: ["*.tmp"] };
  render(<OptionsFields value={value} ends={ends} onChange={() => undefined} />);
  const summary = (group: string) => {
    const button = screen.getByRole("button", { name: group, hidden: true });
    return document.getElementById(button.getAttribute("aria-describedby") ?? "")?.textContent ?? "";
  };
  expect(summary("Which files")).toBe("not *.tmp");
  expect(summary("Speed and connections")).toBe("3 connections");
  expect(summary("Removing files")).toBe("");
  expect(summary("Options")).toBe("not *.tmp, 3 connections");
});
