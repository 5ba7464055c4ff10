import { useCallback, useState } from "react";
import { isNarrow, useNarrow } from "../hooks/useMedia";

/**
 * Whether the navigation is open, stored separately for wide and narrow windows: Cloudscape closes it in a
 * narrow window, and it reopens when the window is wide again.
 */
export function useNavigation(): [boolean, (open: boolean) => void] {
  const [open, setOpen] = useState({ wide: true, narrow: false });
  const set = useCallback((now: boolean) => {
    // Read the width now: Cloudscape closes the navigation before the next render.
    setOpen((before) => ({ ...before, [isNarrow() ? "narrow" : "wide"]: now }));
  }, []);
  return [useNarrow() ? open.narrow : open.wide, set];
}
