/** Form state that survives leaving the page and coming back with the browser's Back button. */
import { useEffect, useState } from "react";
import { newKey } from "../api/idempotency";
import { useAppContext } from "../appContext";

const drafts = new Map<string, unknown>();

/**
 * Like `useState`, kept per person and entry of the browser's history: Back restores it, a new visit starts
 * empty. `name` is unique on the page.
 */
export function useDraftState<T>(name: string, initial: () => T) {
  const { user } = useAppContext().claims;
  const [key] = useState(() => JSON.stringify([user, visitId(), name]));
  const [value, setValue] = useState(() => (drafts.has(key) ? (drafts.get(key) as T) : initial()));
  useEffect(() => void drafts.set(key, value), [key, value]);
  return [value, setValue] as const;
}

function visitId(): string {
  const known = window.history.state?.visit;
  if (known) return known;
  const made = newKey();
  window.history.replaceState({ visit: made }, "");
  return made;
}
