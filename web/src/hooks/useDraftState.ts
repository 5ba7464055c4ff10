/** What was written on a page and not sent is there again for whoever comes Back to it. */
import { useEffect, useState } from "react";
import { newKey } from "../api/idempotency";
import { useAppContext } from "../appContext";

const kept = new Map<string, unknown>();

/** State of one visit to a page, as the browser's history counts them: Back brings it again, a new visit begins
 * anew. `name` tells it from others on the page. What one person wrote is not for the next who signs in. */
export function useDraftState<T>(name: string, first: () => T) {
  const { user } = useAppContext().claims;
  const [key] = useState(() => JSON.stringify([user, visit(), name]));
  const [value, setValue] = useState(() => (kept.has(key) ? (kept.get(key) as T) : first()));
  useEffect(() => void kept.set(key, value), [key, value]);
  return [value, setValue] as const;
}

function visit(): string {
  const known = window.history.state?.visit;
  if (known) return known;
  const made = newKey();
  window.history.replaceState({ visit: made }, "");
  return made;
}
