import { expect, it } from "vitest";
import { cedarErrors, highlight, offsetOf } from "../src/pages/policy/cedar";

const TEXT = 'permit (principal,\n  acton, resource); // "ü"\n';

it("reads error positions of the API", () => {
  const errors = [
    { at: "text:2:3", message: "unexpected token `acton`" },
    { at: "why", message: "too short" },
  ];
  expect(cedarErrors(errors)).toEqual([{ line: 2, column: 3, message: "unexpected token `acton`" }]);
});

it("marks only the word at the position", () => {
  const wrong = highlight(TEXT, [{ line: 2, column: 3, message: "" }]).filter((one) => one.wrong);
  expect(wrong.map(({ text }) => text)).toEqual(["acton"]);
});

it("keeps every character, and tells keywords from strings and comments", () => {
  const all = highlight(TEXT, []);
  expect(all.map(({ text }) => text).join("")).toBe(TEXT);
  expect(all.find(({ kind }) => kind === "comment")?.text).toBe('// "ü"');
  expect(all[0]).toEqual({ kind: "word", text: "permit", wrong: false });
});

it("counts columns in code points, and stays within the text", () => {
  expect(offsetOf("😀 x", { line: 1, column: 3 })).toBe(3);
  expect(offsetOf("a", { line: 9, column: 9 })).toBe(1);
});

it("marks the last word before missing text", () => {
  const open = "permit (principal)\n\n";
  for (const place of [
    { line: 1, column: 19 },
    { line: 3, column: 1 },
  ]) {
    const wrong = highlight(open, [{ ...place, message: "unexpected end of input" }]).filter(
      (one) => one.wrong,
    );
    expect(wrong.map(({ text }) => text)).toEqual([")"]);
  }
});
