/** Track which rows of a long list are visible, so that the others are not rendered again. */
import { useEffect, useMemo, useState } from "react";

/** Distance beyond the screen within which a row counts as visible, so that scrolling shows no stale row. */
const MARGIN = "200px";

interface VisibleRows {
  /** `data-key` of each visible row. */
  visible: ReadonlySet<string>;
  /** Callback for the `ref` of a row. */
  watch(row: HTMLElement | null): (() => void) | undefined;
}

export function useVisibleRows(): VisibleRows {
  const [seen, setSeen] = useState<ReadonlySet<string>>(new Set());
  const observer = useMemo(
    () =>
      new IntersectionObserver((changes) => setSeen((before) => applyChanges(before, changes)), {
        rootMargin: MARGIN,
      }),
    [],
  );
  useEffect(() => () => observer.disconnect(), [observer]);
  const watch = useMemo(
    () => (row: HTMLElement | null) => {
      if (!row) return undefined;
      observer.observe(row);
      return () => observer.unobserve(row);
    },
    [observer],
  );
  return { visible: seen, watch };
}

function applyChanges(before: ReadonlySet<string>, changes: readonly IntersectionObserverEntry[]) {
  const now = new Set(before);
  for (const { target, isIntersecting } of changes) {
    const key = (target as HTMLElement).dataset.key ?? "";
    if (isIntersecting) now.add(key);
    else now.delete(key);
  }
  return now;
}
