/** Moments in the viewer's own zone, with the exact instant for whoever needs it. */
import { locale, t } from "../words";
import { duration } from "./sizes";

export function local(instant: string): string {
  return new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "medium" }).format(
    new Date(instant),
  );
}

/** `2026-11-24 01:30:00.250 UTC`. */
export function utc(instant: string): string {
  return new Date(instant).toISOString().replace("T", " ").replace("Z", " UTC");
}

/** `2 min ago`, `in 10 s`, `just now`: the biggest unit only. */
export function ago(instant: string, now: number): string {
  const seconds = Math.round((now - Date.parse(instant)) / 1000);
  if (Math.abs(seconds) < 5) return t().times.justNow;
  const biggest = duration(Math.abs(seconds)).split(" ").slice(0, 2).join(" ");
  return seconds > 0 ? t().times.ago(biggest) : t().times.ahead(biggest);
}
