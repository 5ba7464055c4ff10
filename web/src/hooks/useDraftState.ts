/** Form state that survives leaving the page and coming back with the browser's Back button. */
import { useEffect, useState } from "react";
import { newKey } from "../api/idempotency";
import { useAppContext } from "../appContext";

const drafts = new Map<string, unknown>();

/** State of one visit to a page, as the browser's history counts them: Back brings it again, a new visit begins
 * anew. `name` tells it from others on the page. What one person wrote is not for the next who signs in. */
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
