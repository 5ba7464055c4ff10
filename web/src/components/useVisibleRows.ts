/** Which rows of a long list are in sight: the others need not be drawn anew. */
import { useEffect, useMemo, useState } from "react";

/** So far beyond the screen a row already counts as in sight: scrolling comes upon no old one. */
const MARGIN = "200px";

interface VisibleRows {
  /** The `data-key`s of rows in sight. */
  visible: ReadonlySet<string>;
  /** The `ref` of a row. */
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
