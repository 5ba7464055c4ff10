/** Syntax highlighting for Cedar, with the API's errors at their positions. */
import type { FieldError } from "../../api/problem";

export type Kind = "comment" | "text" | "word" | "number" | "annotation" | "other";

export interface CedarError {
  /** Counted from 1, as in the API. */
  line: number;
  column: number;
  message: string;
}

export interface Piece {
  kind: Kind;
  text: string;
  wrong: boolean;
}

const WORDS = new Set(
  "permit forbid when unless principal action resource context in has like is if then else true false".split(
    " ",
  ),
);
const TOKEN =
  /(?<comment>\/\/[^\n]*)|(?<text>"(?:\\.|[^"\\])*")|(?<annotation>@\w+)|(?<word>[A-Za-z_]\w*)|(?<number>\d+)|(?<other>\s+|.)/gsu;

/** Return the errors with a position in the text: `text:3:17` is line 3, column 17. */
export function cedarErrors(errors: readonly FieldError[]): CedarError[] {
  return errors.flatMap(({ at, message }) => {
    const [, line, column] = /^text:(\d+):(\d+)$/.exec(at) ?? [];
    return line && column ? [{ line: Number(line), column: Number(column), message }] : [];
  });
}

/** Return the offset of a line and column. Columns count code points, not UTF-16 units. */
export function offsetOf(text: string, { line, column }: Pick<CedarError, "line" | "column">): number {
  const lines = text.split("\n");
  const before = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
  const within = [...(lines[line - 1] ?? "")].slice(0, column - 1).join("");
  return Math.min(text.length, before + within.length);
}

/** Return the offset to mark: in blanks, the last character before them, since a mark there is invisible. */
function markedOffset(text: string, error: CedarError): number {
  const at = offsetOf(text, error);
  if (/^\S/u.test(text.slice(at))) return at;
  return Math.max(0, text.slice(0, at).trimEnd().length - 1);
}

export function highlight(text: string, errors: readonly CedarError[]): Piece[] {
  const wrong = errors.map((flaw) => markedOffset(text, flaw));
  return [...text.matchAll(TOKEN)].map((found) => {
    const [word] = found;
    const end = found.index + word.length;
    return {
      kind: kindOf(found),
      text: word,
      wrong: wrong.some((at) => found.index <= at && at < end),
    };
  });
}

function kindOf({ 0: word, groups = {} }: RegExpMatchArray): Kind {
  if (groups.word !== undefined) return WORDS.has(word) ? "word" : "other";
  const kinds: Kind[] = ["comment", "text", "annotation", "number"];
  return kinds.find((kind) => groups[kind] !== undefined) ?? "other";
}
