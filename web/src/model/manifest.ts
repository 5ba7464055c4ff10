/**
 * Read manifests: gzipped JSON lines, one for each file that a hop handled. There may be a million, and agents
 * write them: they are unpacked piece by piece, and only what is shown is kept.
 */
import { csvRow } from "../format/csv";
import type { Losses, Problem } from "../types";

export const OUTCOMES = ["failed", "unfinished", "sent", "unchanged", "left", "removed"] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** One file, directory or link in a manifest; `ManifestLine` of the agents. */
export interface ManifestLine {
  hop_id: string;
  /** Relative to the hop's destination, empty for a single file. */
  path: string;
  kind: string;
  size: number;
  digest: string | null;
  outcome: Outcome;
  /** Why it failed or was left out. */
  problem: Problem | null;
  lost: readonly (keyof Losses)[];
  at: string;
}

/** What a manifest is searched for. */
export interface Criteria {
  /** Part of the path, in upper or lower case; empty for every path. */
  path: string;
  outcome: Outcome | "not_arrived" | null;
}

export interface FoundLines {
  /** The first `MAX_LINES` that match: what did not arrive first, then in the manifest's order. */
  lines: readonly ManifestLine[];
  /** How many match. */
  matches: number;
  /** How many lines have each outcome, whatever is searched for. */
  outcomes: Readonly<Record<Outcome, number>>;
}

/** Lines that are kept of a search. */
export const MAX_LINES = 1_000;

/** Bytes of packed manifests that a browser loads. */
export const MAX_PACKED_BYTES = 256 * 2 ** 20;
/** Bytes that a manifest may unpack to, whatever it was packed into. */
const FREE_BYTES = 16 * 2 ** 20;
/** Bytes that each packed byte may unpack to beyond that; a manifest of equal lines has about 50. */
const MAX_RATIO = 300;
const MAX_LINE_CHARACTERS = 2 ** 20;

/** A manifest is not what agents write. */
export class DamagedManifestError extends Error {}

const NOT_ARRIVED: ReadonlySet<Outcome> = new Set(["failed", "unfinished"]);

/** Find lines in the manifests of several hops. Throws DamagedManifestError, or what `signal` was aborted with. */
export async function findLines(
  packed: readonly Blob[],
  criteria: Criteria,
  signal?: AbortSignal,
): Promise<FoundLines> {
  const outcomes: Record<Outcome, number> = {
    failed: 0,
    unfinished: 0,
    sent: 0,
    unchanged: 0,
    left: 0,
    removed: 0,
  };
  const first: ManifestLine[] = [];
  const others: ManifestLine[] = [];
  let matches = 0;
  const meets = matcher(criteria);
  for await (const lines of piecesOf(packed, signal)) {
    for (const line of lines) {
      outcomes[line.outcome] += 1;
      if (!meets(line)) continue;
      matches += 1;
      const kept = NOT_ARRIVED.has(line.outcome) ? first : others;
      if (kept.length < MAX_LINES) kept.push(line);
    }
  }
  return { lines: [...first, ...others].slice(0, MAX_LINES), matches, outcomes };
}

const COLUMNS = ["hop_id", "path", "kind", "size", "outcome", "reason", "digest", "lost", "at"] as const;

/** Return every line that matches as CSV with a header line. Throws as `findLines` does. */
export async function linesAsCsv(packed: readonly Blob[], criteria: Criteria): Promise<Blob> {
  const meets = matcher(criteria);
  // Blobs may be kept on disk, so that only one piece is in memory.
  const pieces = [new Blob([csvRow(COLUMNS)])];
  for await (const lines of piecesOf(packed)) {
    const rows = lines.filter(meets).map(csvLine);
    if (rows.length > 0) pieces.push(new Blob(rows));
  }
  return new Blob(pieces, { type: "text/csv" });
}

function csvLine({ problem, lost, ...line }: ManifestLine): string {
  const cells = { ...line, reason: problem?.message, lost: lost.join(" ") };
  return csvRow(COLUMNS.map((name) => cells[name]));
}

function matcher({ path, outcome }: Criteria): (line: ManifestLine) => boolean {
  const wanted = path.toLowerCase();
  return (line) =>
    (outcome === null ||
      (outcome === "not_arrived" ? NOT_ARRIVED.has(line.outcome) : line.outcome === outcome)) &&
    line.path.toLowerCase().includes(wanted);
}

/** Yield the lines of several manifests in pieces. */
async function* piecesOf(packed: readonly Blob[], signal?: AbortSignal): AsyncGenerator<ManifestLine[]> {
  for (const one of packed) {
    let rest = "";
    for await (const text of textOf(one)) {
      signal?.throwIfAborted();
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      if (rest.length > MAX_LINE_CHARACTERS) throw new DamagedManifestError("a line has no end");
      yield lines.map(parseLine);
    }
    if (rest) yield [parseLine(rest)];
  }
}

/** Yield the unpacked text in pieces. */
async function* textOf(packed: Blob): AsyncGenerator<string> {
  const limit = FREE_BYTES + MAX_RATIO * packed.size;
  const unpacked = packed.stream().pipeThrough(new DecompressionStream("gzip")).getReader();
  const decoder = new TextDecoder();
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await unpacked.read().catch(() => {
        throw new DamagedManifestError("it cannot be unpacked");
      });
      if (done) return;
      bytes += value.length;
      if (bytes > limit) throw new DamagedManifestError("it unpacks to far more than a manifest does");
      yield decoder.decode(value, { stream: true });
    }
  } finally {
    // After a failure there is nothing left to cancel, which is all that this could say.
    await unpacked.cancel().catch(() => undefined);
  }
}

function parseLine(text: string): ManifestLine {
  let line: unknown;
  try {
    line = JSON.parse(text);
  } catch {
    throw new DamagedManifestError("a line is not JSON");
  }
  if (!isLine(line)) throw new DamagedManifestError("a line is not about a file");
  return line;
}

const KNOWN: ReadonlySet<unknown> = new Set(OUTCOMES);

function isLine(value: unknown): value is ManifestLine {
  if (typeof value !== "object" || value === null) return false;
  const line = value as Record<string, unknown>;
  return (
    ["hop_id", "path", "kind", "at"].every((name) => typeof line[name] === "string") &&
    (line.digest === null || typeof line.digest === "string") &&
    (line.problem === null || isProblem(line.problem)) &&
    typeof line.size === "number" &&
    KNOWN.has(line.outcome) &&
    Array.isArray(line.lost) &&
    line.lost.every((one) => typeof one === "string")
  );
}

function isProblem(value: unknown): value is Problem {
  if (typeof value !== "object" || value === null) return false;
  const { code, message, advice, path, wording, parameters } = value as Record<string, unknown>;
  return (
    [code, message, advice, wording].every((one) => typeof one === "string") &&
    (path === null || typeof path === "string") &&
    typeof parameters === "object" &&
    parameters !== null &&
    Object.values(parameters).every((one) => typeof one === "string")
  );
}
