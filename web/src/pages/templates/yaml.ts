/** Read and write templates as YAML, as `crosshaul templates apply` does, and validate them. */
import { isMap, LineCounter, parseDocument, stringify } from "yaml";
import type { CodePiece } from "../../components/CodeField";
import { t } from "../../i18n";
import { draftError, draftFrom } from "../../model/locations";
import { STORAGE_CLASSES } from "../../model/options";
import type { TemplateRequest } from "../../types";
import { EMPTY, MAX_GATHER_SECONDS } from "./request";

export interface YamlError {
  line: number;
  what: string;
}

/** Return the text line by line, with those that have an error marked. */
export function marked(source: string, errors: readonly YamlError[]): CodePiece[] {
  const wrong = new Set(errors.map(({ line }) => line));
  return source
    .split(/(?<=\n)/)
    .flatMap((text, number) => {
      // Indentation and the end of the line are no part of what is wrong.
      const [, before = "", what = "", after = ""] = /^(\s*)(.*?)(\s*)$/s.exec(text) ?? [];
      const piece = { kind: "other", text: what, wrong: wrong.has(number + 1) };
      return [{ kind: "other", text: before }, piece, { kind: "other", text: after }];
    })
    .filter(({ text }) => text !== "");
}

/** Return the offset at which a line begins, counted from 1. */
export function lineOffset(source: string, line: number): number {
  return (
    source
      .split("\n")
      .slice(0, line - 1)
      .join("\n").length + (line > 1 ? 1 : 0)
  );
}

export type Read = { request: TemplateRequest } | { errors: YamlError[] };

type Check = (value: unknown) => string;

const kind =
  (type: "string" | "boolean", word: () => string): Check =>
  (value) =>
    typeof value === type ? "" : word();
const text = kind("string", () => t().template.kinds.text);
const boolean = kind("boolean", () => t().template.kinds.boolean);
const number: Check = (value) =>
  value === null || (Number.isInteger(value) && Number(value) > 0) ? "" : t().template.kinds.number;
/** Check the time for which a template gathers, by the API's bounds (events/requests.py). */
const gatherSeconds: Check = (value) =>
  Number.isInteger(value) && Number(value) >= 0 && Number(value) <= MAX_GATHER_SECONDS
    ? ""
    : t().template.kinds.seconds;
const mapping: Check = (value) =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? "" : t().template.kinds.mapping;
const list: Check = (value) =>
  Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === "string")
    ? ""
    : t().template.kinds.list;
const texts: Check = (value) =>
  Array.isArray(value) && value.every((one) => typeof one === "string") ? "" : t().template.kinds.texts;
const windows: Check = (value) =>
  Array.isArray(value) && value.every((one) => mapping(one) === "") ? "" : t().template.kinds.windows;
const tags: Check = (value) =>
  mapping(value) === "" && Object.values(value as object).every((one) => typeof one === "string")
    ? ""
    : t().template.kinds.tags;
const orNothing =
  (check: Check): Check =>
  (value) =>
    value === null ? "" : check(value);
/** Check that an option not available for templates is off. */
const never =
  (why: () => string): Check =>
  (value) =>
    value === false ? "" : `false (${why()})`;
const oneOf =
  (...values: string[]): Check =>
  (value) =>
    values.includes(String(value)) ? "" : t().template.yamlOneOf(values.join(", "));

/** All known fields with their checks; the API validates nested values. */
const FIELDS: Record<string, Check> = {
  name: text,
  description: text,
  trigger: mapping,
  "trigger.bucket": text,
  "trigger.prefix": text,
  "trigger.suffix": text,
  "trigger.gather_seconds": gatherSeconds,
  destinations: list,
  shape: oneOf("fan_out", "chain"),
  options: mapping,
  "options.include": texts,
  "options.exclude": texts,
  "options.compare": oneOf("time"),
  "options.delete_extra": never(() => t().options.unavailable.mirrorFromTemplate),
  "options.move": never(() => t().options.unavailable.moveFromS3),
  "options.dry_run": boolean,
  "options.overwrite": oneOf("always", "newer", "never", "fail"),
  "options.verify": oneOf("transfer", "reread"),
  "options.owner": oneOf("agent"),
  "options.symlinks": oneOf("keep", "skip", "follow"),
  "options.streams": number,
  "options.bandwidth_limit": number,
  "options.bandwidth_windows": windows,
  "options.priority": oneOf("low", "normal", "high"),
  "options.relay": oneOf("never", "allowed"),
  "options.chain": oneOf("stream", "whole"),
  "options.if_offline": oneOf("queue", "refuse"),
  "options.storage_class": orNothing(oneOf(...STORAGE_CLASSES)),
  "options.object_tags": tags,
  enabled: boolean,
};
const REQUIRED = ["name", "trigger", "trigger.bucket", "destinations"];
/** Unknown fields of this mapping are left to the API, which may be newer than this page. */
const EXTENSIBLE = "options";

export function toYaml(request: TemplateRequest): string {
  return stringify(request, { lineWidth: 0 });
}

/** Parse a template. Missing fields get the API's defaults. */
export function parseYaml(source: string): Read {
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number | undefined) => lines.linePos(offset ?? 0).line || 1;
  const syntaxErrors = document.errors.map(({ code, message, pos }) => ({
    line: at(pos[0]),
    what: t().template.yamlSyntax(code, message),
  }));
  if (syntaxErrors.length) return { errors: syntaxErrors };
  const value: unknown = document.toJS();
  if (!isMap(document.contents) || mapping(value)) {
    return { errors: [{ line: 1, what: t().template.yamlNeeds("YAML", t().template.kinds.mapping) }] };
  }
  const line = (path: string[]): number => {
    const node = document.getIn(path, true) as { range?: [number, number, number] } | undefined;
    return at(node?.range?.[0]);
  };
  const faults = errorsOf(value as Record<string, unknown>, line);
  if (faults.length) return { errors: faults };
  const given = value as Partial<TemplateRequest> & Pick<TemplateRequest, "name" | "destinations">;
  const request: TemplateRequest = {
    ...EMPTY,
    ...given,
    trigger: { ...EMPTY.trigger, ...given.trigger },
    options: { ...EMPTY.options, ...given.options },
  };
  return { request };
}

function errorsOf(value: Record<string, unknown>, line: (path: string[]) => number): YamlError[] {
  const labels = t().template;
  const flat = new Map<string, unknown>(Object.entries(value));
  for (const part of ["trigger", EXTENSIBLE]) {
    const inner = value[part];
    if (inner && !mapping(inner)) {
      for (const [name, one] of Object.entries(inner)) flat.set(`${part}.${name}`, one);
    }
  }
  const errors: YamlError[] = [];
  for (const [field, one] of flat) {
    const check = FIELDS[field];
    const what = check?.(one);
    if (!check && !field.startsWith(`${EXTENSIBLE}.`)) {
      errors.push({ line: line(field.split(".")), what: labels.yamlUnknown(field) });
    } else if (what) errors.push({ line: line(field.split(".")), what: labels.yamlNeeds(field, what) });
  }
  for (const field of REQUIRED) {
    const missing = !flat.has(field) && (field !== "trigger.bucket" || flat.has("trigger"));
    if (missing) errors.push({ line: 1, what: labels.yamlNeeds(field, FIELDS[field]?.(undefined) ?? "") });
  }
  const places = Array.isArray(value.destinations) ? value.destinations : [];
  for (const [index, place] of places.entries()) {
    const fault = typeof place === "string" && draftError(draftFrom(place), true);
    if (fault) errors.push({ line: line(["destinations", String(index)]), what: `${place}: ${fault}` });
  }
  return errors;
}
