import { useCallback, useEffect, useState } from "react";
import { isNarrow, useNarrow } from "../hooks/useMedia";

/**
 * Whether the navigation is open, stored separately for wide and narrow windows: Cloudscape closes it in a
 * narrow window, and it reopens when the window is wide again.
 */
export function useNavigation(): [boolean, (open: boolean) => void] {
  const [open, setOpen] = useState({ wide: true, narrow: false });
  const narrow = useNarrow();
  useEffect(() => {
    if (!narrow) return;
    // Cloudscape describes the bar of a narrow window by an attribute that a navigation may not have. The bar
    // appears in the frame in which the window has become narrow.
    const frame = requestAnimationFrame(() =>
      document.querySelector("nav[aria-orientation]")?.removeAttribute("aria-orientation"),
    );
    return () => cancelAnimationFrame(frame);
  }, [narrow]);
  const set = useCallback((now: boolean) => {
    // Read the width now: Cloudscape closes the navigation before the next render.
    setOpen((before) => ({ ...before, [isNarrow() ? "narrow" : "wide"]: now }));
  }, []);
  return [narrow ? open.narrow : open.wide, set];
}
