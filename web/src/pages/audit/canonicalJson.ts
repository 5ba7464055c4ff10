/** Messages of the audit and their digests, as events/audit.py makes them: to the letter. */

/** What a number is marked with: JavaScript's own would make `5.0` a 5, and so another text. */
const NUMBER_MARK = "\u0000";

export type ExactJson = string | boolean | null | ExactJson[] | { [name: string]: ExactJson };
export type Fields = { [name: string]: ExactJson };

/** JSON with its numbers as they are written. */
export function parseExact(text: string): Fields {
  const parts = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g;
  return JSON.parse(
    text.replace(parts, (part) => (part.startsWith('"') ? part : `"\\u0000${part}"`)),
  ) as Fields;
}

export function numberOf(value: ExactJson | undefined): number {
  return typeof value === "string" && value.startsWith(NUMBER_MARK) ? Number(value.slice(1)) : Number.NaN;
}

const NOT_DIGESTED = new Set(["digest", "signature"]);
/** What a record has when nothing is said: left out, so that a field of tomorrow leaves today's digests alone. */
const DEFAULTS: Fields = {
  address: null,
  policies: [],
  why: "",
  transfer_id: null,
  agents: [],
  before: null,
  after: null,
};

/** SHA-256 of the message as JSON: sorted, without spaces, without its own digest and signature. */
export async function digestOf(message: Fields): Promise<string> {
  const fields = Object.entries(message).filter(
    ([name, value]) => !NOT_DIGESTED.has(name) && !(name in DEFAULTS && same(value, DEFAULTS[name])),
  );
  const digest = await crypto.subtle.digest("SHA-256", bytesOf(canonical(Object.fromEntries(fields))));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new TextEncoder().encode(text));
}

function same(one: ExactJson, other: ExactJson | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function canonical(value: ExactJson): string {
  if (typeof value === "string") return value.startsWith(NUMBER_MARK) ? value.slice(1) : quoted(value);
  if (value === null || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const fields = Object.keys(value).sort();
  return `{${fields.map((name) => `${quoted(name)}:${canonical(value[name] ?? null)}`).join(",")}}`;
}

/** In ASCII alone. */
function quoted(text: string): string {
  return JSON.stringify(text).replace(
    /[^ -~]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
