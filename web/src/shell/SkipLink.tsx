import type { ReactNode } from "react";
import { t } from "../i18n";

const CONTENT = "content";

/** The first that Tab reaches: past the navigation. The address stays, for it names the page. */
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

/** Where it leads to. */
export function Content({ children }: { children: ReactNode }) {
  return (
    <div id={CONTENT} tabIndex={-1}>
      {children}
    </div>
  );
}
