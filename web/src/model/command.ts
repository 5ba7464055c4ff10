/** A transfer as a command line: `crosshaul cp SOURCE DESTINATION…`, with the options that are not defaults. */
import { locationText } from "../format/names";
import { tagLines } from "../format/options";
import type { Options, TransferRequest } from "../types";

/** Characters that no shell interprets. */
const PLAIN = /^[A-Za-z0-9_@%+=:,./-]+$/;

/** Return the text as one word of a POSIX shell. */
export function shellWord(text: string): string {
  return PLAIN.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

export function copyCommand({ source, destinations, shape, options }: TransferRequest): string {
  const flags = options ? flagsOf(options) : [];
  const chain = destinations.length > 1 && shape === "chain" ? ["--chain"] : [];
  const ends = [source, ...destinations].map((end) => (typeof end === "string" ? end : locationText(end)));
  return ["crosshaul", "cp", ...ends, ...chain, ...flags].map(shellWord).join(" ");
}

function flagsOf(options: NonNullable<TransferRequest["options"]>): string[] {
  const flag = (name: string, given: boolean | undefined) => (given ? [name] : []);
  const value = (name: string, given: string | number | null | undefined, usual?: string) =>
    given === undefined || given === null || given === usual ? [] : [`${name}=${given}`];
  return [
    ...flag("--dry-run", options.dry_run),
    ...(options.include ?? []).map((glob) => `--include=${glob}`),
    ...(options.exclude ?? []).map((glob) => `--exclude=${glob}`),
    ...value("--overwrite", options.overwrite, "always"),
    ...flag("--checksum", options.compare === "checksum"),
    ...flag("--delete-extra", options.delete_extra),
    ...flag("--move", options.move),
    ...value("--verify", options.verify, "transfer"),
    ...value("--symlinks", options.symlinks, "keep"),
    ...value("--owner", options.owner, "agent"),
    ...value("--streams", options.streams),
    ...value("--bwlimit", options.bandwidth_limit),
    ...(options.bandwidth_windows ?? []).map((window) => `--bwlimit-at=${windowText(window)}`),
    ...value("--priority", options.priority, "normal"),
    ...value("--relay", options.relay, "never"),
    ...flag("--whole-hops", options.chain === "whole"),
    ...value("--if-offline", options.if_offline, "queue"),
    ...value("--storage-class", options.storage_class),
    ...tagLines(options.object_tags ?? {}).map((tag) => `--tag=${tag}`),
  ];
}

/** Return a window as the command takes it: `mon,tue 08:00-18:00 1048576 Europe/Berlin`. */
function windowText({ days, start, end, zone, limit }: Options["bandwidth_windows"][number]): string {
  const hours = `${start.slice(0, 5)}-${end.slice(0, 5)}`;
  return [...(days.length ? [days.join(",")] : []), hours, limit ?? "off", zone].join(" ");
}
