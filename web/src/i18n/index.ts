/** The language the console speaks. `t()` is read while rendering; the root renders anew when it changes. */
import cloudscape from "@cloudscape-design/components/i18n/messages/all.en";
import { useSyncExternalStore } from "react";
import { en, type Words } from "./en";

export type Language = "en" | "de";
export const LANGUAGES: Record<Language, string> = { en: "English", de: "Deutsch" };
const STORED = "crosshaul.language";

interface Spoken {
  language: Language;
  locale: string;
  words: Words;
  /** What Cloudscape's own parts say. */
  parts: typeof cloudscape;
}

const listeners = new Set<() => void>();
let spoken: Spoken = english();
let wished: Language = "en";

export function t(): Words {
  return spoken.words;
}

/** For `Intl`: the viewer's own kind of the language, if the browser has it (en-GB), else the language. */
export function locale(): string {
  return spoken.locale;
}

function localeOf(language: Language): string {
  return navigator.languages.find((one) => one.startsWith(language)) ?? language;
}

export function useSpoken(): Spoken {
  return useSyncExternalStore(subscribe, () => spoken);
}

/** What the viewer chose here before; else the browser's first language that the console knows. */
export function preferred(): Language {
  const known = (one: string | null): one is Language => one !== null && one in LANGUAGES;
  const chosen = localStorage.getItem(STORED);
  if (known(chosen)) return chosen;
  return navigator.languages.map((one) => one.slice(0, 2)).find(known) ?? "en";
}

/** Speak it from now on; `remember` it for the next time as well. */
export async function speak(language: Language, remember = false): Promise<void> {
  if (remember) localStorage.setItem(STORED, language);
  wished = language;
  const words = language === "de" ? await german() : english();
  if (wished !== language) return; // another was chosen while this one came
  spoken = words;
  document.documentElement.lang = language;
  for (const listener of listeners) listener();
}

function english(): Spoken {
  return { language: "en", locale: localeOf("en"), words: en, parts: cloudscape };
}

async function german(): Promise<Spoken> {
  const [{ de }, { default: parts }] = await Promise.all([
    import("./de"),
    import("@cloudscape-design/components/i18n/messages/all.de"),
  ]);
  return { language: "de", locale: localeOf("de"), words: de, parts };
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
