import type { ReactNode } from "react";
import { t } from "../i18n";

const CONTENT = "content";

/** Link to skip the navigation with the keyboard. Does not change the address, which names the page. */
export function SkipLink() {
  return (
    <a
      className="skip"
      href={`#${CONTENT}`}
      onClick={(event) => {
        event.preventDefault();
        document.getElementById(CONTENT)?.focus();
      }}
    >
      {t().nav.skip}
    </a>
  );
}

/** Target of the skip link. */
export function Content({ children }: { children: ReactNode }) {
  return (
    <div id={CONTENT} tabIndex={-1}>
      {children}
    </div>
  );
}
