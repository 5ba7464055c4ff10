/** Times as text: in the viewer's zone, in UTC, and relative to now. */
import { locale, t } from "../i18n";
import { duration } from "./sizes";

export function local(instant: string): string {
  return new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "medium" }).format(
    new Date(instant),
  );
}

/** Return the time of day. */
export function time(instant: number): string {
  return new Intl.DateTimeFormat(locale(), { timeStyle: "medium" }).format(new Date(instant));
}

/** Return a time in UTC: `2026-11-24 01:30:00.250 UTC`. */
export function utc(instant: string): string {
  return new Date(instant).toISOString().replace("T", " ").replace("Z", " UTC");
}

/** Seconds of clock offset that may be network delay. */
const MAX_IN_SYNC_S = 5;
/** Seconds of clock offset beyond which an agent rejects commands (agent/cloud/command_verifier.py). */
const MAX_SKEW_S = 60;

/** Return whether a clock is so wrong that its agent rejects all commands. */
export function isClockWrong(skew: number | null | undefined): boolean {
  return Math.abs(skew ?? 0) > MAX_SKEW_S;
}

/** Return a clock's offset in seconds as text: `3 min behind`, `in sync`. */
export function clockSkew(seconds: number): string {
  const { inSync: inStep, fast, slow } = t().times;
  if (Math.abs(seconds) <= MAX_IN_SYNC_S) return inStep;
  const amount = duration(Math.abs(seconds));
  return seconds > 0 ? fast(amount) : slow(amount);
}

/** Return a time relative to now with one unit: `2 min ago`, `in 10 s`, `just now`. */
export function ago(instant: string, now: number): string {
  const seconds = Math.round((now - Date.parse(instant)) / 1000);
  if (Math.abs(seconds) < 5) return t().times.justNow;
  const biggest = duration(Math.abs(seconds)).split(" ").slice(0, 2).join(" ");
  return seconds > 0 ? t().times.ago(biggest) : t().times.ahead(biggest);
}
