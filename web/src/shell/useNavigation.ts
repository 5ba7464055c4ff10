import { useCallback, useState } from "react";
import { isNarrow, useNarrow } from "../hooks/useMedia";

/**
 * Whether the list of pages is open, in a wide window and in a narrow one: Cloudscape closes it when a window
 * becomes narrow, and somebody who makes it wide again finds it as it was. (A full-page picture does the same.)
 */
export function useNavigation(): [boolean, (open: boolean) => void] {
  const [open, setOpen] = useState({ wide: true, narrow: false });
  const set = useCallback((now: boolean) => {
    // Asked for at this moment: the closing comes before the page has been drawn anew.
    setOpen((before) => ({ ...before, [isNarrow() ? "narrow" : "wide"]: now }));
  }, []);
  return [useNarrow() ? open.narrow : open.wide, set];
}
