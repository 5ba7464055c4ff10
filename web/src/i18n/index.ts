/** The console's language. Components call `t()` while rendering; the root renders again when it changes. */
import cloudscape from "@cloudscape-design/components/i18n/messages/all.en";
import { useSyncExternalStore } from "react";
import { en, type Messages } from "./en";

export type Language = "en" | "de";
export const LANGUAGES: Record<Language, string> = { en: "English", de: "Deutsch" };
const STORAGE_KEY = "crosshaul.language";

interface ActiveLanguage {
  language: Language;
  locale: string;
  messages: Messages;
  /** Messages of Cloudscape's own components. */
  cloudscape: typeof cloudscape;
}

const listeners = new Set<() => void>();
let active: ActiveLanguage = english();
let requested: Language = "en";

export function t(): Messages {
  return active.messages;
}

/** Return the locale for `Intl`: the browser's variant of the language (en-GB), else the language. */
export function locale(): string {
  return active.locale;
}

function localeOf(language: Language): string {
  return navigator.languages.find((one) => one.startsWith(language)) ?? language;
}

export function useLanguage(): ActiveLanguage {
  return useSyncExternalStore(subscribe, () => active);
}

/** Return the language chosen earlier, else the browser's first supported language. */
export function preferredLanguage(): Language {
  const known = (one: string | null): one is Language => one !== null && one in LANGUAGES;
  const chosen = localStorage.getItem(STORAGE_KEY);
  if (known(chosen)) return chosen;
  return navigator.languages.map((one) => one.slice(0, 2)).find(known) ?? "en";
}

/** Switch the language; `remember` it for the next visit. */
export async function setLanguage(language: Language, remember = false): Promise<void> {
  if (remember) localStorage.setItem(STORAGE_KEY, language);
  requested = language;
  const words = language === "de" ? await german() : english();
  if (requested !== language) return; // another language was chosen during the load
  active = words;
  document.documentElement.lang = language;
  for (const listener of listeners) listener();
}

function english(): ActiveLanguage {
  return { language: "en", locale: localeOf("en"), messages: en, cloudscape };
}

async function german(): Promise<ActiveLanguage> {
  const [{ de }, { default: parts }] = await Promise.all([
    import("./de"),
    import("@cloudscape-design/components/i18n/messages/all.de"),
  ]);
  return { language: "de", locale: localeOf("de"), messages: de, cloudscape: parts };
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
