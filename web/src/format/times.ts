/** Moments in the viewer's own zone, with the exact instant for whoever needs it. */
import { locale, t } from "../i18n";
import { duration } from "./sizes";

export function local(instant: string): string {
  return new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "medium" }).format(
    new Date(instant),
  );
}

/** The time of day. */
export function time(instant: number): string {
  return new Intl.DateTimeFormat(locale(), { timeStyle: "medium" }).format(new Date(instant));
}

/** `2026-11-24 01:30:00.250 UTC`. */
export function utc(instant: string): string {
  return new Date(instant).toISOString().replace("T", " ").replace("Z", " UTC");
}

/** So many seconds are no more than what a word takes to arrive. */
const MAX_IN_SYNC_S = 5;
/** Beyond this an agent takes commands for expired, or for made in the future (agent/cloud/command_verifier.py). */
const MAX_SKEW_S = 60;

/** Is a clock so wrong that its agent obeys no command? */
export function isClockWrong(skew: number | null | undefined): boolean {
  return Math.abs(skew ?? 0) > MAX_SKEW_S;
}

/** `3 min behind`, `in step`; seconds that a clock is ahead. */
export function clockSkew(seconds: number): string {
  const { inSync: inStep, fast, slow } = t().times;
  if (Math.abs(seconds) <= MAX_IN_SYNC_S) return inStep;
  const amount = duration(Math.abs(seconds));
  return seconds > 0 ? fast(amount) : slow(amount);
}

/** `2 min ago`, `in 10 s`, `just now`: the biggest unit only. */
export function ago(instant: string, now: number): string {
  const seconds = Math.round((now - Date.parse(instant)) / 1000);
  if (Math.abs(seconds) < 5) return t().times.justNow;
  const biggest = duration(Math.abs(seconds)).split(" ").slice(0, 2).join(" ");
  return seconds > 0 ? t().times.ago(biggest) : t().times.ahead(biggest);
}
