/** Options of a transfer as text. */

import { t } from "../i18n";
import type { Options } from "../types";
import { safeText } from "./names";
import { speed } from "./sizes";

type Window = Options["bandwidth_windows"][number];

export function describeOptions(options: Options): string[] {
  const texts = t().transfer.optionWords;
  const words = [
    options.dry_run ? texts.dryRun : "",
    texts.overwrite[options.overwrite],
    options.compare === "checksum" ? texts.checksum : "",
    options.include.length ? texts.include(options.include.map(safeText).join(", ")) : "",
    options.exclude.length ? texts.exclude(options.exclude.map(safeText).join(", ")) : "",
    options.delete_extra ? texts.deleteExtra : "",
    options.move ? texts.move : "",
    options.verify === "reread" ? texts.reread : "",
    texts.symlinks[options.symlinks],
    texts.owner[options.owner],
    options.priority === "normal" ? "" : texts.priority[options.priority],
    options.streams ? texts.streams(options.streams) : "",
    options.bandwidth_limit ? texts.limit(speed(options.bandwidth_limit)) : "",
    ...options.bandwidth_windows.map(describeWindow),
    options.relay === "allowed" ? texts.relay : "",
    options.chain === "whole" ? texts.wholeHops : "",
    options.if_offline === "refuse" ? texts.refuse : "",
    options.storage_class ? texts.storageClass(options.storage_class) : "",
    Object.keys(options.object_tags).length
      ? texts.tags(tagLines(options.object_tags).map(safeText).join(", "))
      : "",
  ];
  return words.filter(Boolean);
}

/** Return tags as the command line takes them, KEY=VALUE, where `\=` is an equals sign within a key. */
export function tagLines(tags: Options["object_tags"]): string[] {
  return Object.entries(tags).map(([key, value]) => `${key.replaceAll("=", "\\=")}=${value}`);
}

/** Return a bandwidth window as text: `Mon, Tue 08:00–18:00 (Europe/Berlin): at most 10 MiB/s`. */
export function describeWindow({ days, start, end, zone, limit }: Window): string {
  const texts = t().transfer.optionWords;
  const names = days.length ? days.map((day) => t().options.days[day]).join(", ") : t().options.everyDay;
  const hours = `${start.slice(0, 5)}–${end.slice(0, 5)} (${safeText(zone)})`;
  return `${names} ${hours}: ${limit === null ? texts.noLimit : texts.limit(speed(limit))}`;
}
