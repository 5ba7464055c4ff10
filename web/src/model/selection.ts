/** Several entries of one directory as include patterns, which select these and no others. */
import type { DirectoryEntry } from "../types";

/** The API's limits (see `events/filters.py`). */
export const MAX_NAMES = 100;
const MAX_PATTERN_CHARACTERS = 8192;

/** What a pattern of a selection means: a file, or everything in a directory. */
const NAME = /^\/((?:\\[\\*?[\]{}]|\[\s\]|[^\\*?[\]{}/])+)(\/\*\*)?$/u;

/** Return the patterns that select these entries of the source, with everything in the directories. */
export function includesOf(entries: readonly Pick<DirectoryEntry, "name" | "type">[]): string[] {
  return entries.flatMap(({ name, type }) => {
    const pattern = `/${escaped(name)}`;
    const contents = `/${escapedCharacters(name)}/**`;
    if (type === "directory") return [contents];
    // A link is an entry of its own, or what it leads to, as the option for links says.
    return type === "symlink" ? [pattern, contents] : [pattern];
  });
}

/** Return whether the API takes so many patterns, and such long ones. */
export function areTooMany(include: readonly string[]): boolean {
  return (
    include.length > MAX_NAMES ||
    include.reduce((sum, pattern) => sum + [...pattern].length, 0) > MAX_PATTERN_CHARACTERS
  );
}

/**
 * Return the names that the patterns select at the top of the source, a directory with a slash at its end.
 * Null if there are no patterns, or if one selects anything else.
 */
export function namesOf(include: readonly string[]): string[] | null {
  const names = new Set<string>();
  for (const pattern of include) {
    const [, name, contents] = NAME.exec(pattern) ?? [];
    if (name === undefined) return null;
    const plain = name.replace(/\[(\s)\]$/u, "$1").replace(/\\(.)/gu, "$1");
    names.add(plain + (contents ? "/" : ""));
  }
  const isLink = (name: string) => names.has(`${name}/`);
  return names.size ? [...names].filter((name) => !isLink(name)) : null;
}

/** Return the patterns after another choice: those of an earlier selection do not outlive it. */
export function includesAfter(before: readonly string[], chosen: readonly string[]): string[] {
  if (chosen.length) return [...chosen];
  return namesOf(before) ? [] : [...before];
}

function escapedCharacters(name: string): string {
  return name.replace(/[\\*?[\]{}]/g, "\\$&");
}

/** Escape a name. Space at its end is a set, for a field of patterns removes it from the end of a line. */
function escaped(name: string): string {
  return escapedCharacters(name).replace(/\s$/u, "[$&]");
}
