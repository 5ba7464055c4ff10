/** What an upload of a name would start, by the rules of the control plane (lambdas/domain/template.py). */
import { draftOf, draftText } from "../../locations";
import type { Template } from "../../types";

export type Tried = { arrives: string[] } | { misses: ("prefix" | "suffix")[] };

export function tried({ trigger, destinations }: Template, key: string): Tried {
  const misses: ("prefix" | "suffix")[] = [];
  if (!key.startsWith(trigger.prefix)) misses.push("prefix");
  if (!key.endsWith(trigger.suffix)) misses.push("suffix");
  if (misses.length) return { misses };
  // What is kept of the key begins after the prefix's last slash.
  const kept = key.slice(trigger.prefix.lastIndexOf("/") + 1);
  return { arrives: destinations.map((place) => draftText(draftOf(place)) + kept) };
}
