/** What the viewer's screen and system prefer. */
import { applyMode, Mode } from "@cloudscape-design/global-styles";
import { useSyncExternalStore } from "react";

/** Dark when the system is dark, also when it changes its mind. */
export function followSystemTheme(): void {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const apply = () => applyMode(dark.matches ? Mode.Dark : Mode.Light);
  dark.addEventListener("change", apply);
  apply();
}

const narrow = () => window.matchMedia("(max-width: 688px)");

/** Is the window as narrow as a phone's? Cloudscape's own breakpoint. */
export function useNarrow(): boolean {
  return useSyncExternalStore(
    (listener) => {
      const query = narrow();
      query.addEventListener("change", listener);
      return () => query.removeEventListener("change", listener);
    },
    () => narrow().matches,
  );
}
