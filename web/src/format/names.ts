/** Names of files, agents and people for display: control and direction characters are escaped. */

import { t } from "../i18n";
import type { Actor, Location, TransferSummary } from "../types";

/**
 * C0 and C1 controls, soft hyphen, zero-width and direction marks, line and paragraph separators, byte-order
 * mark, interlinear and tag characters, unpaired surrogates. See Unicode TR36 on spoofing by such characters.
 */
const UNSAFE = new RegExp(
  [
    "[\\p{Cc}\\p{Cs}\\u00AD\\u061C\\u115F\\u1160\\u180B-\\u180E\\u200B\\u200E\\u200F\\u2028-\\u202E]",
    "[\\u2060-\\u206F\\u3164\\uFEFF\\uFFA0\\uFFF9-\\uFFFB]",
    "\\u034F",
    "[\\u{E0000}-\\u{E007F}]",
  ].join("|"),
  "gu",
);

/** Escape misleading characters: `evil\u202Egpj.exe`. */
export function safeText(name: string): string {
  return name.replace(UNSAFE, (character) => {
    const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase();
    return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`;
  });
}

const CHARACTERS = new Intl.Segmenter();

/** Leave out the middle of a text of more than `most` characters, as a reader counts them. */
export function elided(text: string, most: number): string {
  if (text.length <= most) return text;
  const characters = Array.from(CHARACTERS.segment(text), ({ segment }) => segment);
  if (characters.length <= most) return text;
  const half = Math.floor((most - 1) / 2);
  return `${characters.slice(0, half).join("")}…${characters.slice(-half).join("")}`;
}

/**
 * Return a location as the API writes it, unescaped: `server-b:/data`, `server-b:remote:path`,
 * `s3://bucket/prefix`.
 */
export function locationText(location: Location): string {
  if (location.kind === "s3") return `s3://${location.bucket}/${location.prefix}`;
  const remote = location.kind === "remote" ? `${location.remote}:` : "";
  return `${location.agent_id}:${remote}${location.path}`;
}

/** Return where a transfer goes from and to: `server-b:/data → server-c:/archive`, `… + 2`. */
export function routeText({
  source,
  destinations,
}: Pick<TransferSummary, "source" | "destinations">): string {
  const [first] = destinations;
  const more = destinations.length - 1;
  const to = first ? locationText(first) : "";
  return `${locationText(source)} → ${to}${more > 0 ? t().transfers.more(more) : ""}`;
}

/** Return the last name of a location: `film.mov` of `server-b:/data/film.mov`. */
export function baseName(location: Location): string {
  const path = location.kind === "s3" ? location.prefix : location.path;
  return path.split("/").filter(Boolean).at(-1) ?? path;
}

/** Return who did something: `agent:server-b` → `server-b (agent)`; people by their name at that time. */
export function actorName(by: Actor): string {
  const [kind, name] = by.id.split(/:(.*)/s);
  return name && (kind === "agent" || kind === "template")
    ? t().times.by[kind](safeText(name))
    : safeText(by.name);
}

/** Return a tag as text: `site: berlin`, or the key alone if it has no value. */
export function tagText(key: string, value: string): string {
  return value ? `${key}: ${value}` : key;
}
