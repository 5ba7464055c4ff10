/** Theme and screen width. */
import { applyMode, Mode } from "@cloudscape-design/global-styles";
import { useSyncExternalStore } from "react";

export type Theme = "system" | "light" | "dark";
const STORAGE_KEY = "crosshaul.theme";
const dark = () => window.matchMedia("(prefers-color-scheme: dark)");

/** Return the theme chosen by the viewer, or `system`. */
export function currentTheme(): Theme {
  const chosen = localStorage.getItem(STORAGE_KEY);
  return chosen === "light" || chosen === "dark" ? chosen : "system";
}

export function chooseTheme(chosen: Theme): void {
  localStorage.setItem(STORAGE_KEY, chosen);
  applyTheme();
}

/** Apply the theme now and whenever the system's preference changes. */
export function followTheme(): void {
  dark().addEventListener("change", applyTheme);
  applyTheme();
}

function applyTheme(): void {
  const wanted = currentTheme();
  const isDark = wanted === "system" ? dark().matches : wanted === "dark";
  applyMode(isDark ? Mode.Dark : Mode.Light);
}

const narrow = () => window.matchMedia("(max-width: 688px)");

/** Return whether the window is as narrow as a phone, by Cloudscape's breakpoint. */
export function isNarrow(): boolean {
  return narrow().matches;
}

export function useNarrow(): boolean {
  return useSyncExternalStore((listener) => {
    const query = narrow();
    query.addEventListener("change", listener);
    return () => query.removeEventListener("change", listener);
  }, isNarrow);
}
