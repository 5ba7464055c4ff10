/** Canonical JSON of audit messages and their digests, byte for byte as in events/audit.py. */

/** Marks a number kept as text: as a JavaScript number, `5.0` would become `5` and change the digest. */
const NUMBER_MARK = "\u0000";

export type ExactJson = string | boolean | null | ExactJson[] | { [name: string]: ExactJson };
export type Fields = { [name: string]: ExactJson };

/** Parse JSON and keep every number as its original text. */
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
/** Default values, which are left out of the digest, so that new fields do not change old digests. */
const DEFAULTS: Fields = {
  address: null,
  policies: [],
  why: "",
  repeats: `${NUMBER_MARK}0`,
  transfer_id: null,
  agents: [],
  before: null,
  after: null,
};

/** Return the SHA-256 of a message as canonical JSON: sorted, without spaces, digest and signature. */
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

/** Return a JSON string in ASCII. */
function quoted(text: string): string {
  return JSON.stringify(text).replace(
    /[^ -~]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
