/** Options of a transfer as text. */

import { t } from "../i18n";
import type { Options } from "../types";
import { safeText } from "./names";
import { speed } from "./sizes";

type Window = Options["bandwidth_windows"][number];

export function describeOptions(options: Options): string[] {
  const said = t().transfer.optionWords;
  const words = [
    options.dry_run ? said.dryRun : "",
    said.overwrite[options.overwrite],
    options.compare === "checksum" ? said.checksum : "",
    options.include.length ? said.include(options.include.map(safeText).join(", ")) : "",
    options.exclude.length ? said.exclude(options.exclude.map(safeText).join(", ")) : "",
    options.delete_extra ? said.deleteExtra : "",
    options.move ? said.move : "",
    options.verify === "reread" ? said.reread : "",
    said.symlinks[options.symlinks],
    said.owner[options.owner],
    options.priority === "normal" ? "" : said.priority[options.priority],
    options.streams ? said.streams(options.streams) : "",
    options.bandwidth_limit ? said.limit(speed(options.bandwidth_limit)) : "",
    ...options.bandwidth_windows.map(describeWindow),
    options.relay === "allowed" ? said.relay : "",
    options.chain === "whole" ? said.wholeHops : "",
    options.if_offline === "refuse" ? said.refuse : "",
  ];
  return words.filter(Boolean);
}

/** Return a bandwidth window as text: `Mon, Tue 08:00–18:00 (Europe/Berlin): at most 10 MiB/s`. */
export function describeWindow({ days, start, end, zone, limit }: Window): string {
  const said = t().transfer.optionWords;
  const names = days.length ? days.map((day) => t().options.days[day]).join(", ") : t().options.everyDay;
  const hours = `${start.slice(0, 5)}–${end.slice(0, 5)} (${safeText(zone)})`;
  return `${names} ${hours}: ${limit === null ? said.noLimit : said.limit(speed(limit))}`;
}
