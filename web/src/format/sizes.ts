/** Sizes, speeds, percentages and durations as text. Sizes are binary: 1 KiB = 1,024 bytes. */

import { locale, t } from "../i18n";
import type { Progress } from "../types";

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** Return a size with at most three digits: `1.5 GiB`. */
export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : 1;
  return `${formatNumber(value, AMOUNTS[digits] ?? WHOLE)} ${UNITS[unit]}`;
}

const AMOUNTS = [0, 1].map((digits) => ({
  minimumFractionDigits: digits,
  maximumFractionDigits: digits,
  useGrouping: false,
}));
const WHOLE = { maximumFractionDigits: 0 };
const SHARE = { maximumFractionDigits: 2 };

/** Formatters by locale and options, cached since creating one costs as much as a hundred uses. */
const formatters = new Map<string, Map<object, Intl.NumberFormat>>();

function formatNumber(value: number, kind: Intl.NumberFormatOptions): string {
  const byOptions = formatters.get(locale()) ?? new Map<object, Intl.NumberFormat>();
  const formatter = byOptions.get(kind) ?? new Intl.NumberFormat(locale(), kind);
  formatters.set(locale(), byOptions.set(kind, formatter));
  return formatter.format(value);
}

export function speed(bytesPerSecond: number): string {
  return t().amounts.perSecond(bytes(bytesPerSecond));
}

export function count(value: number): string {
  return formatNumber(value, WHOLE);
}

/** Return a number that is counted up to a limit: `500+` if there may be more. */
export function countUpTo(value: number, limit: number): string {
  return `${count(value)}${value >= limit ? "+" : ""}`;
}

/** Return US dollars: `$12.40`; below a cent `< $0.01`. */
export function dollars(amount: number): string {
  const format = new Intl.NumberFormat(locale(), { style: "currency", currency: "USD" });
  return amount > 0 && amount < 0.01 ? `< ${format.format(0.01)}` : format.format(amount);
}

/** Return a number with at most two decimals: `1.25`. */
export function decimal(value: number): string {
  return formatNumber(value, SHARE);
}

export function files(value: number): string {
  return t().amounts.files(value, count(value));
}

/** Return the progress in percent, or null if the total is unknown. 100 only if nothing is left. */
export function share(progress: Progress): number | null {
  const byBytes = percentage(progress.bytes_done, progress.bytes_total);
  return progress.bytes_total === 0 ? percentage(progress.files_done, progress.files_total) : byBytes;
}

function percentage(done: number, total: number | null | undefined): number | null {
  if (total === null || total === undefined) return null;
  if (total === 0 || done >= total) return 100;
  return Math.min(99, Math.floor((done / total) * 100));
}

/** Return seconds as text with the two largest non-zero units: `3 h 5 min`. */
export function duration(seconds: number): string {
  const { units } = t().amounts;
  const whole = Math.max(0, Math.round(seconds));
  const parts: [number, string][] = [
    [Math.floor(whole / 86400), units.d],
    [Math.floor(whole / 3600) % 24, units.h],
    [Math.floor(whole / 60) % 60, units.min],
    [whole % 60, units.s],
  ];
  const first = parts.findIndex(([value]) => value > 0);
  if (first < 0) return `0 ${units.s}`;
  const shown = parts.slice(first, first + 2).filter(([value]) => value > 0);
  return shown.map(([value, unit]) => `${value} ${unit}`).join(" ");
}

/** Return the seconds left at the current speed of all hops, or null if total or speed are unknown. */
export function timeLeft(progress: Progress, hops: number): number | null {
  const { bytes_total, bytes_done, bytes_per_second } = progress;
  if (bytes_total === null || bytes_total === undefined || !bytes_per_second) return null;
  return (Math.max(0, bytes_total - bytes_done) * hops) / bytes_per_second;
}

/**
 * Return how much of a transfer has arrived, of its size counted once: `734 MiB of 1.0 GiB`, or `67 % of
 * 1.0 GiB` where several hops carry the same files. Empty if nothing is known yet.
 */
export function amountOnce(hops: number, size: number | null, progress: Progress): string {
  const { bytes_done, files_done } = progress;
  const percent = share(progress);
  if (size === null || percent === null) {
    return bytes_done > 0 || files_done > 0 ? t().amounts.soFar(bytes(bytes_done)) : "";
  }
  if (percent === 100) return bytes(size);
  return t().amounts.of(hops === 1 ? bytes(bytes_done) : `${percent} %`, bytes(size));
}
