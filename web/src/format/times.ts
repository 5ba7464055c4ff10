/** Moments in the viewer's own zone, with the exact instant for whoever needs it. */
import { duration } from "./sizes";

const LOCAL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export function local(instant: string): string {
  return LOCAL.format(new Date(instant));
}

/** `2026-11-24 01:30:00.250 UTC`. */
export function utc(instant: string): string {
  return new Date(instant).toISOString().replace("T", " ").replace("Z", " UTC");
}

/** `2 min ago`, `in 10 s`, `just now`: the biggest unit only. */
export function ago(instant: string, now: number): string {
  const seconds = Math.round((now - Date.parse(instant)) / 1000);
  if (Math.abs(seconds) < 5) return "just now";
  const biggest = duration(Math.abs(seconds)).split(" ").slice(0, 2).join(" ");
  return seconds > 0 ? `${biggest} ago` : `in ${biggest}`;
}
