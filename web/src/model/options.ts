/** Options of a transfer: defaults, availability by ends, and validation. */

import { describeOptions } from "../format/options";
import { t } from "../i18n";
import type { Options } from "../types";
import { type Draft, isOnRemote, S3 } from "./locations";

/** The API's defaults, which remove no files. */
export const DEFAULT_OPTIONS: Options = {
  include: [],
  exclude: [],
  compare: "time",
  delete_extra: false,
  move: false,
  dry_run: false,
  bandwidth_windows: [],
  priority: "normal",
  overwrite: "always",
  verify: "transfer",
  symlinks: "keep",
  owner: "agent",
  streams: null,
  bandwidth_limit: null,
  relay: "never",
  chain: "stream",
  if_offline: "queue",
  storage_class: null,
  object_tags: {},
};

export type StorageClass = NonNullable<Options["storage_class"]>;

/** S3's storage classes, those of ordinary buckets first. */
export const STORAGE_CLASSES: readonly StorageClass[] = [
  "STANDARD",
  "INTELLIGENT_TIERING",
  "STANDARD_IA",
  "ONEZONE_IA",
  "GLACIER_IR",
  "GLACIER",
  "DEEP_ARCHIVE",
  "REDUCED_REDUNDANCY",
  "EXPRESS_ONEZONE",
  "OUTPOSTS",
  "SNOW",
  "FSX_OPENZFS",
  "FSX_ONTAP",
  "AWS_BACKUP_WARM",
  "AWS_BACKUP_LOW_COST_WARM",
];

const TAG = /^((?:\\=|[^=])*)=(.*)$/;

/** Return the tags that these lines name; one without an equals sign is a key without a value. */
export function tagsOf(lines: readonly string[]): Options["object_tags"] {
  const pairs = lines.map((line) => TAG.exec(line) ?? [line, line, ""]);
  return Object.fromEntries(
    pairs.map(([, key = "", value = ""]) => [key.replaceAll("\\=", "=").trim(), value.trim()]),
  );
}

/** Return in words what differs from the defaults. */
export function changedOptions(options: Options): string[] {
  const usual = describeOptions(DEFAULT_OPTIONS);
  return describeOptions(options).filter((word) => !usual.includes(word));
}

export type RestrictedOption = "compare" | "owner" | "delete_extra" | "move" | "objects";

/** What the options need to know about source and destinations. An agent's remotes count as S3. */
export interface Ends {
  fromS3: boolean;
  toS3: boolean;
  /** Whether a destination is a bucket. */
  toBucket: boolean;
  destinations: number;
  /** Whether a template transfers single objects. */
  fromTemplate: boolean;
}

const isStorage = (draft: Draft) => draft.place === S3 || isOnRemote(draft);

export function endsOf(source: Draft, destinations: readonly Draft[]): Ends {
  return {
    fromS3: isStorage(source),
    toS3: destinations.some(isStorage),
    toBucket: destinations.some(({ place }) => place === S3),
    destinations: destinations.length,
    fromTemplate: false,
  };
}

/** Return the ends of a template: its objects come from S3, one by one. */
export function templateEnds(destinations: readonly Draft[]): Ends {
  const toBucket = destinations.some(({ place }) => place === S3);
  return { fromS3: true, toS3: false, toBucket, destinations: 1, fromTemplate: true };
}

/**
 * Return why the option is not available for these ends (see `lambdas/domain/options.py`), or an empty
 * string.
 */
export function unavailableReason(option: RestrictedOption, ends: Ends, options: Options): string {
  const labels = t().options.unavailable;
  switch (option) {
    case "compare":
      return ends.fromS3 || ends.toS3 ? labels.compare : "";
    case "owner":
      return ends.fromS3 || ends.toS3 ? labels.owner : "";
    case "delete_extra":
      if (options.move) return labels.both;
      if (ends.fromTemplate) return labels.mirrorFromTemplate;
      return ends.toS3 ? labels.mirrorS3 : "";
    case "move":
      if (options.delete_extra) return labels.both;
      if (ends.fromTemplate || ends.fromS3) return labels.moveFromS3;
      if (ends.destinations > 1) return labels.moveMany;
      return ends.toS3 ? labels.moveToS3 : "";
    case "objects":
      return ends.toBucket ? "" : labels.objects;
  }
}

/**
 * Return why the API would refuse these options: invalid amounts, and options not available for these ends.
 */
export function invalidFields(options: Options, ends: Ends): string[] {
  const chosen: RestrictedOption[] = [];
  if (options.compare === "checksum") chosen.push("compare");
  if (options.owner !== "agent") chosen.push("owner");
  if (options.delete_extra) chosen.push("delete_extra");
  if (options.move) chosen.push("move");
  if (options.storage_class || Object.keys(options.object_tags).length) chosen.push("objects");
  const restricted = chosen.map((option) => unavailableReason(option, ends, options)).filter(Boolean);
  return [...new Set([...restricted, ...amountErrors(options)])];
}

/** The format of an amount's text, its unit, and its range. */
export interface Unit {
  pattern: RegExp;
  unit: number;
  least: number;
  most: number;
}

/** Parallel connections. */
export const STREAMS: Unit = { pattern: /^\d+$/, unit: 1, least: 1, most: 16 };
/** Bytes per second, entered in MiB/s; the API's minimum is 1 KiB/s. */
export const SPEED: Unit = {
  pattern: /^(\d+\.?\d*|\.\d+)$/,
  unit: 2 ** 20,
  least: 1024,
  most: Number.MAX_SAFE_INTEGER,
};

/**
 * Parse an amount. Empty text is null. Invalid text is 0, which the API refuses and which is never "no
 * limit".
 */
export function amountOf(text: string, { pattern, unit, least, most }: Unit): number | null {
  const typed = text.trim();
  if (!typed) return null;
  const amount = pattern.test(typed) ? Math.round(Number(typed) * unit) : 0;
  return least <= amount && amount <= most ? amount : 0;
}

/** Return the shortest text that parses to exactly this amount. */
export function amountText(amount: number | null, measure: Unit): string {
  if (amount === null) return "";
  const exact = amount / measure.unit;
  const texts = Array.from({ length: 16 }, (_, digits) => String(Number(exact.toFixed(digits))));
  return texts.find((text) => amountOf(text, measure) === amount) ?? String(exact);
}

/** Return an error for each field with an invalid amount. */
function amountErrors({ streams, bandwidth_limit, bandwidth_windows }: Options): string[] {
  const labels = t().options;
  const limits = bandwidth_windows.map(({ limit }) => limit);
  return [
    streams === 0 ? `${labels.streams}: ${labels.streamsError}` : "",
    bandwidth_limit === 0 ? `${labels.limit}: ${labels.limitError}` : "",
    limits.includes(0) ? `${labels.windows}: ${labels.limitError}` : "",
  ].filter(Boolean);
}

/** Return whether the options remove files permanently. */
export function removesFiles({ delete_extra, move, dry_run }: Options): boolean {
  return (delete_extra || move) && !dry_run;
}

/** Return the non-empty lines of a text as patterns. */
export function patterns(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
}
